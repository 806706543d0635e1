"""A page whose scripts hold no token: sessions in cookies."""
