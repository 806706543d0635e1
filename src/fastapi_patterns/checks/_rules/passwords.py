"""How passwords are hashed, and the versions of what guards them."""

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi_patterns.checks.source import Source, dotted_name, is_kind, place_of, resolved
from fastapi_patterns.checks.target import Target

__all__ = ["known_holes", "passlib_bcrypt", "weak_hashes"]

# passlib's schemes that a graphics card tries by the million a second, or that are no hashes at all.
_WEAK = (
    "plaintext", "md5", "md4", "sha1", "sha256", "sha512", "des_crypt", "bsdi_crypt", "bigcrypt", "crypt16", "lmhash",
    "nthash", "mysql", "mssql", "oracle", "msdcc", "cisco", "phpass", "htdigest", "lanman",
)  # fmt: skip
_SLOW = ("sha256_crypt", "sha512_crypt", "pbkdf2", "argon2", "bcrypt", "scrypt")
_SAFE_ENOUGH = "use PasswordHasher, which verifies the hashes that you have and writes argon2id"
# OWASP's least for bcrypt; for the others less than half of it.
# Source: OWASP Password Storage Cheat Sheet.
_LEAST_ROUNDS = {"bcrypt": 10, "bcrypt_sha256": 10, "pbkdf2_sha256": 300_000, "pbkdf2_sha512": 105_000}
_LEAST_ARGON2_KIB_PASSES = 19456
_HOLES = {
    ("jose", "python-jose"): ((3, 4), "verifies tokens that were signed with a public key (CVE-2024-33663)"),
    ("jwt", "PyJWT"): ((2, 4), "verifies tokens that were signed with a public key (CVE-2022-29217)"),
}


def passlib_bcrypt(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find passlib's bcrypt beside bcrypt 5, with which it cannot hash."""
    if _version("bcrypt") < (5,):
        return
    for place, _, context in _contexts(target):
        schemes = [scheme for scheme in context.schemes() if "bcrypt" in scheme]
        if schemes:
            yield (
                place,
                f"passlib's {schemes[0]} fails with bcrypt {version('bcrypt')}: every hash and check raises",
                "use PasswordHasher, which verifies the hashes that you have",
            )


def weak_hashes(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find schemes and costs of new hashes that are far below what OWASP asks for."""
    for place, name, context in _contexts(target):
        scheme = str(context.default_scheme())
        # What is random from the start needs no slow hash.
        if not (scheme.startswith("hex_") and re.search(r"(?i)key|token|etag|digest", name)):
            yield from _weak_scheme(place, scheme, context.handler(scheme))
    for place, _, hasher in _found(target, "argon2", "PasswordHasher"):
        yield from _weak_argon2(place, hasher.memory_cost, hasher.time_cost)
    for source in target.sources:
        yield from _weak_calls(source)


def known_holes(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find versions of what checks tokens that let forged ones through, where the application imports them."""
    for (module, package), (least, hole) in _HOLES.items():
        installed = _version(package)
        used = any(_imports(source.tree, module) for source in target.sources)
        if used and module in sys.modules and () < installed < least:
            yield (f"{package} {version(package)}", hole, f"install {package}>={'.'.join(map(str, least))}")


def _weak_argon2(place: str, memory_kib: Any, passes: Any) -> Iterator[tuple[str, str, str]]:
    if isinstance(memory_kib, int) and isinstance(passes, int) and memory_kib * passes < _LEAST_ARGON2_KIB_PASSES:
        yield (
            place,
            f"argon2 with {memory_kib} KiB and {passes} passes; OWASP asks for 19456 KiB and 2 passes",
            _SAFE_ENOUGH,
        )


def _weak_scheme(place: str, scheme: str, handler: Any) -> Iterator[tuple[str, str, str]]:
    """Judge one of passlib's schemes with its costs."""
    rounds = getattr(handler, "default_rounds", None)
    if not any(slow in scheme for slow in _SLOW) and any(weak in scheme for weak in _WEAK):
        yield (place, f"new passwords are kept as {scheme}, which is undone in no time", _SAFE_ENOUGH)
    elif scheme == "argon2":
        yield from _weak_argon2(place, getattr(handler, "memory_cost", None), rounds)
    elif isinstance(rounds, int) and rounds < _LEAST_ROUNDS.get(scheme, 0):
        yield (place, f"{scheme} with {rounds} rounds; OWASP asks for more than twice as much", _SAFE_ENOUGH)


def _weak_calls(source: Source) -> Iterator[tuple[str, str, str]]:
    """Find `bcrypt.gensalt(4)`, unless it is one of two cases, and `pbkdf2_sha256.hash(...)` of passlib's."""
    nodes = list(ast.walk(source.tree))
    cases = {id(each) for node in nodes if isinstance(node, ast.IfExp) for each in ast.walk(node)}
    for node in nodes:
        if not isinstance(node, ast.Call):
            continue
        if dotted_name(node.func, source.names) == "bcrypt.gensalt" and id(node) not in cases:
            given = [*node.args[:1], *(each.value for each in node.keywords if each.arg == "rounds")]
            rounds = given[0].value if given and isinstance(given[0], ast.Constant) else None
            if isinstance(rounds, int) and rounds < _LEAST_ROUNDS["bcrypt"]:
                yield (
                    place_of(source.file, node.lineno),
                    f"bcrypt with {rounds} rounds; OWASP asks for 10 at least, and 12 are usual",
                    "leave the number out, or write 12",
                )
        elif isinstance(node.func, ast.Attribute) and node.func.attr == "hash":
            handler = resolved(node.func.value, source.names)
            scheme = str(getattr(handler, "name", "")) if _is_of_passlib(handler) else "hex_"
            if not scheme.startswith("hex_"):
                yield from _weak_scheme(place_of(source.file, node.lineno), scheme, handler)


def _is_of_passlib(handler: Any) -> bool:
    return is_kind(handler, type) and str(handler.__module__).startswith("passlib.")


def _contexts(target: Target) -> Iterator[tuple[str, str, Any]]:
    yield from _found(target, "passlib", "CryptContext")


def _found(target: Target, package: str, kind: str) -> Iterator[tuple[str, str, Any]]:
    """Give objects in the application's globals and classes, each once, with the line that makes it if it is seen."""
    if package not in sys.modules:
        return
    found: dict[int, tuple[str, str, Any]] = {}
    for source in target.sources:
        made = dict(_made_at(source.tree))
        for name, value in _values(source.names):
            if type(value).__name__ == kind and type(value).__module__.partition(".")[0] == package:
                if name in made:
                    found[id(value)] = (place_of(source.file, made[name]), name, value)
                else:
                    found.setdefault(id(value), (f"{source.names['__name__']}.{name}", name, value))
    yield from found.values()


def _values(names: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in names.items():
        yield name, value
        if is_kind(value, type) and value.__module__ == names["__name__"]:
            yield from ((f"{name}.{each}", inner) for each, inner in vars(value).items())


def _made_at(tree: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[tuple[str, int]]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield from _made_at(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from ((f"{prefix}{each.id}", node.lineno) for each in targets if isinstance(each, ast.Name))


def _imports(tree: ast.Module, module: str) -> bool:
    names = [
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names])
    ]
    return any(name.partition(".")[0] == module for name in names)


def _version(package: str) -> tuple[int, ...]:
    """Read the first two numbers of an installed version; none where it is not there."""
    try:
        return tuple(int(part) for part in version(package).split(".")[:2])
    except (PackageNotFoundError, ValueError):
        return ()
