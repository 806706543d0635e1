"""What applications paste. `fastapi-patterns check examples.pitfalls.main:app` names what is wrong about it."""
