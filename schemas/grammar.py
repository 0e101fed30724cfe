"""A little English: what is more than one, which article fits, what can follow "could you"."""

import re

__all__ = ["MANY", "ONE", "article", "can_be_opened", "is_plural", "opened", "questions", "singular", "unarticled"]

ONE = ("", "a", "the", "my", "some", "this", "a", "the")
MANY = ("", "the", "my", "some", "these", "", "the", "all the")
"""What stands before a thing, and before several."""

_ARTICLES = re.compile(r"(?:the|an?|my|some|this|these|all)\b", re.IGNORECASE)
_STATED = ("what", "where", "which", "how ", "i'm", "i am", "let me", "new ")
_ALL_OF_ONE = re.compile(r".*(?:ss|us|is|news|series|ics|as|os)$")
_AGREE = {"what is": "what are", "what's": "what are", "how is": "how are", "how's": "how are", "when is": "when are",
          "where is": "where are", "is there": "are there", "which is": "which are"}  # fmt: skip
_AGREE_BACK = {"are there": "is there", "what are": "what is"}


def is_plural(words: str) -> bool:
    """Tell whether words name several things.

    >>> is_plural("open orders"), is_plural("bus"), is_plural("status of orders")
    (True, False, False)
    """
    head = re.split(r" (?:of|in|with|for|by|to|from|on|at|near|nearby|within)\b", words)[0]
    return head.endswith("s") and not _ALL_OF_ONE.match(head)


def singular(words: str) -> str:
    """Return words for several things as those for one.

    >>> singular("2 adults"), singular("people"), singular("children"), singular("1 bus")
    ('2 adult', 'person', 'child', '1 bus')
    """
    odd = {"people": "person", "children": "child"}
    *before, last = words.split(" ")
    last = odd.get(last, last[:-1] if len(last) > 3 and is_plural(last) else last)
    return " ".join([*before, last])


def article(drawn: str, following: str) -> str:
    """Return a drawn article as it stands before what follows: none where one is there already.

    >>> article("a", "orange"), article("the", "The Wall"), article("a", "pear")
    ('an', '', 'a')
    """
    if _ARTICLES.match(following):
        return ""
    return "an" if drawn == "a" and following[:1].lower() in tuple("aeiou") else drawn


def unarticled(before: str, following: str) -> str:
    """Return the words before a value, without an article where the value brings its own.

    >>> unarticled("with the", "the blue one"), unarticled("with the", "blue")
    ('with', 'with the')
    """
    return re.sub(r"\b(?:the|an?|my)$", "", before).rstrip() if _ARTICLES.match(following) else before


def can_be_opened(command: str) -> bool:
    """Tell whether "could you" can stand before words: they must be a command.

    >>> can_be_opened("show me"), can_be_opened("where is")
    (True, False)
    """
    return not command.startswith(_STATED)


def opened(opener: str, command: str) -> str:
    """Return what stands before a command: nobody asks himself to show him something.

    >>> opened("i want to", "show me"), opened("i want to", "see")
    ('can you', 'i want to')
    """
    own = opener.endswith((" to", "let's", "help me", "should"))
    return "can you" if own and re.match(r"\w+ (?:me|us)\b", command) else opener


def questions(said: str, many: bool) -> str:
    """Return the beginning of a question as it agrees with what it asks for.

    >>> questions("what is", True), questions("are there", False)
    ('what are', 'is there')
    """
    return (_AGREE if many else _AGREE_BACK).get(said, said)
