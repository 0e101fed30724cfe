"""The one error tree.

Every error says what is wrong, where, and the way out::

    SchematuneError
    ├── SchemaError            a JSON Schema or a tool definition cannot be used
    │   └── DriftError         an adapter does not fit the tools it is asked to serve
    ├── ExampleError           a pair, an example or a case is wrong
    ├── TeacherError           the model that should rewrite requests cannot be asked
    ├── RenderError            a request or a call cannot be put into the base's template
    ├── ModelError             a base or an adapter cannot be loaded
    │   └── ContractError      an adapter's contract does not match what it is loaded onto
    ├── TuneError              a tuning run cannot start or go on
    └── DecodeError            no valid call could be decoded; carries the text and the violations
        ├── PromptTooLongError the prompt does not fit the context
        ├── TruncatedError     the token limit was reached inside the output
        └── InvalidOutputError the output does not parse or does not fit the schema
"""

from collections.abc import Sequence

__all__ = [
    "ContractError",
    "DecodeError",
    "DriftError",
    "ExampleError",
    "InvalidOutputError",
    "ModelError",
    "PromptTooLongError",
    "RenderError",
    "SchemaError",
    "SchematuneError",
    "TeacherError",
    "TruncatedError",
    "TuneError",
]


class SchematuneError(Exception):
    """Base of every error raised on purpose.

    >>> print(SchemaError("no name", where="tools.json[3]", fix='add "name"'))
    tools.json[3]: no name; add "name"
    """

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        """Say `what` is wrong, `where` (a file, line or path), and how to `fix` it."""
        self.what, self.where, self.fix = what, where, fix
        super().__init__((f"{where}: " if where else "") + what + (f"; {fix}" if fix else ""))


class SchemaError(SchematuneError):
    """A JSON Schema or a tool definition cannot be used."""


class DriftError(SchemaError):
    """The tools at hand are not those the adapter was made for."""


class ExampleError(SchematuneError):
    """A pair, an example or a case is wrong."""


class TeacherError(SchematuneError):
    """The model that should rewrite requests cannot be asked."""


class RenderError(SchematuneError):
    """A request or a call cannot be rendered by the base's chat template."""


class ModelError(SchematuneError):
    """A base or an adapter cannot be loaded."""


class ContractError(ModelError):
    """An adapter's contract does not match what it is loaded onto."""


class TuneError(SchematuneError):
    """A tuning run cannot start or go on."""


class DecodeError(SchematuneError):
    """No valid call could be decoded.

    `text` is what came out, `violations` say what is wrong with it, each with its path.
    """

    def __init__(
        self, what: str, *, where: str = "", fix: str = "", text: str = "", violations: Sequence[str] = ()
    ) -> None:
        """See `SchematuneError`; `text` and `violations` are kept for the caller."""
        super().__init__(what, where=where, fix=fix)
        self.text, self.violations = text, tuple(violations)


class PromptTooLongError(DecodeError):
    """The prompt does not fit the context of the base."""


class TruncatedError(DecodeError):
    """The token limit was reached inside the output."""


class InvalidOutputError(DecodeError):
    """The output does not parse, or does not fit the schema."""
