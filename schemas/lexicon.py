"""Word lists for wording requests and inventing tools.

General English only: nothing here names a tool, an argument or a value of a benchmark.
"""

import random
import re

__all__ = ["ADJECTIVES", "ALSO_CALLED", "CHATTER", "NOUNS", "OPENERS", "SMALL_TALK", "VERBS", "words_of"]


def words_of(name: str) -> list[str]:
    """Split an identifier into lower-case words.

    >>> words_of("getHTTPStatus_v2.byUser"), words_of("party-size")
    (['get', 'http', 'status', 'v2', 'by', 'user'], ['party', 'size'])
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return [word for word in re.split(r"[^A-Za-z0-9]+", spaced.lower()) if word]


VERBS: dict[str, tuple[str, ...]] = {
    "create": ("create", "make", "set up", "add", "put in", "new"),
    "add": ("add", "put", "include", "place", "throw", "stick"),
    "set": ("set", "put", "change", "adjust"),
    "update": ("update", "change", "edit", "amend", "fix"),
    "move": ("move", "shift", "push", "bring"),
    "cancel": ("cancel", "drop", "call off", "scrap", "get rid of", "give up"),
    "delete": ("delete", "remove", "get rid of", "wipe", "throw out"),
    "remove": ("remove", "take out", "delete", "drop"),
    "send": ("send", "shoot over", "fire off", "write"),
    "message": ("message", "ping", "text", "tell", "drop a line to"),
    "book": (
        "book",
        "reserve",
        "arrange",
        "get me",
        "grab",
        "make a reservation for",
        "make a booking for",
        "find me",
        "make reservations at",
        "book me",
        "book us",
    ),
    "reserve": ("reserve", "book", "block", "get", "hold"),
    "order": ("order", "get", "get me", "call", "buy"),
    "record": ("record", "log", "enter", "note down", "file", "put through"),
    "log": ("log", "record", "track", "note"),
    "request": ("request", "ask for", "apply for", "put in for", "hand in"),
    "invoice": ("invoice", "bill", "charge"),
    "issue": ("issue", "send out", "write up"),
    "pay": ("pay", "settle", "transfer"),
    "buy": ("buy", "get", "order", "purchase"),
    "sell": ("sell", "put up for sale"),
    "start": ("start", "begin", "launch", "kick off", "run"),
    "stop": ("stop", "end", "halt", "quit"),
    "open": ("open", "open up", "start"),
    "close": ("close", "shut", "finish"),
    "turn": ("turn", "switch"),
    "enable": ("enable", "turn on", "switch on", "activate"),
    "disable": ("disable", "turn off", "switch off"),
    "upload": ("upload", "put up", "attach"),
    "download": ("download", "grab", "save"),
    "share": ("share", "pass on", "send"),
    "invite": ("invite", "ask", "bring in"),
    "assign": ("assign", "give", "hand"),
    "schedule": ("schedule", "plan", "set up", "arrange", "put in"),
    "remind": ("remind me", "nudge me"),
    "rate": ("rate", "score", "review", "give a rating to", "mark"),
    "convert": ("convert", "change", "turn"),
    "translate": ("translate", "turn"),
    "calculate": ("calculate", "compute", "work out", "figure out", "what is", "find"),
    "compute": ("compute", "calculate", "work out", "what is"),
    "estimate": ("estimate", "guess", "work out"),
    "compare": ("compare", "contrast"),
    "analyze": ("analyze", "look into", "examine", "go through"),
    "generate": ("generate", "make", "produce", "create"),
    "register": ("register", "sign up", "enrol"),
    "play": ("play", "put on", "start", "listen to", "hear", "start playing", "play me", "let me hear", "turn on"),
    "get": ("get", "show me", "give me", "what is", "what's", "fetch", "look up", "tell me", "pull up", "check"),
    "find": (
        "find",
        "find me",
        "show me",
        "where can i find",
        "get me",
        "see",
        "pull up",
        "look for",
        "search for",
        "i'm looking for",
        "locate",
        "where is",
        "dig up",
    ),
    "search": (
        "search",
        "search for",
        "look for",
        "find",
        "look up",
        "hunt down",
        "find me",
        "show me",
        "where can i find",
        "where can i see",
        "get me",
        "see",
        "i am looking for",
        "locate",
        "show",
    ),
    "list": ("list", "show me", "what are", "give me", "show"),
    "show": ("show", "show me", "display", "let me see"),
    "check": ("check", "look up", "verify", "see", "what is"),
    "track": ("track", "follow", "where is"),
    "fetch": ("fetch", "get", "retrieve", "pull"),
    "retrieve": ("retrieve", "get", "fetch", "show me", "pull up"),
    "predict": ("predict", "forecast", "estimate"),
    "read": ("read", "open", "show me"),
    "write": ("write", "save", "put down"),
    "save": ("save", "store", "keep"),
    "rename": ("rename", "call"),
    "approve": ("approve", "sign off", "accept"),
    "reject": ("reject", "decline", "turn down"),
    "renew": ("renew", "extend"),
    "report": ("report", "flag", "let them know about"),
    "clean": ("clean", "clear", "tidy up"),
    "print": ("print", "print out"),
    "lock": ("lock", "secure"),
    "scan": ("scan", "check"),
    "measure": ("measure", "take"),
    "plan": ("plan", "draw up", "work out"),
    "submit": ("submit", "hand in", "send in", "file"),
    "publish": ("publish", "post", "put out"),
    "return": ("return", "send back"),
    "hire": ("hire", "rent", "take on"),
    "rent": ("rent", "hire", "get"),
    "sync": ("sync", "bring up to date"),
    "mute": ("mute", "silence"),
    "water": ("water",),
    "feed": ("feed",),
    "repair": ("repair", "fix", "mend"),
    "lookup": ("look up", "find", "search for", "check", "show me"),
    "lend": ("lend", "loan", "give out"),
    "borrow": ("borrow", "take out", "check out"),
    "suggest": ("suggest", "recommend", "propose", "come up with"),
    "recommend": ("recommend", "suggest"),
    "enroll": ("enroll", "sign up", "register"),
    "enrol": ("enrol", "sign up", "register"),
    "explore": ("explore", "look around", "tell me about"),
    "locate": ("locate", "find", "where is"),
    "discover": ("discover", "find", "look for"),
    "identify": ("identify", "work out", "find out"),
    "detect": ("detect", "find", "spot"),
    "evaluate": ("evaluate", "assess", "judge"),
    "assess": ("assess", "evaluate", "judge"),
    "convey": ("convey", "pass on"),
    "extract": ("extract", "pull out", "get"),
    "summarize": ("summarize", "sum up", "give me the gist of"),
    "describe": ("describe", "tell me about"),
    "explain": ("explain", "tell me about"),
    "initialize": ("initialize", "set up", "start"),
    "merge": ("merge", "combine", "join"),
    "combine": ("combine", "merge", "put together"),
    "edit": ("edit", "change", "amend"),
    "insert": ("insert", "add", "put in"),
    "replace": ("replace", "swap"),
    "copy": ("copy", "duplicate"),
    "export": ("export", "save"),
    "import": ("import", "bring in", "load"),
    "verify": ("verify", "check", "confirm"),
    "validate": ("validate", "check"),
    "confirm": ("confirm", "approve"),
    "execute": ("execute", "run"),
    "run": ("run", "start", "launch"),
    "apply": ("apply", "use"),
    "select": ("select", "pick", "choose"),
    "choose": ("choose", "pick", "select"),
    "provide": ("give me", "show me", "get"),
    "determine": ("determine", "work out", "find out"),
    "subscribe": ("subscribe to", "sign up for"),
    "visit": ("visit", "go to", "see"),
    "navigate": ("navigate", "go", "take me"),
    "increase": ("increase", "raise", "turn up"),
    "decrease": ("decrease", "lower", "turn down"),
    "pause": ("pause", "hold", "stop"),
    "resume": ("resume", "go on with", "continue"),
    "skip": ("skip", "jump over"),
    "upgrade": ("upgrade", "move up"),
    "restart": ("restart", "reboot"),
    "install": ("install", "set up"),
    "connect": ("connect", "hook up"),
    "refund": ("refund", "pay back"),
    "attend": ("attend", "go to", "join"),
    "optimize": ("optimize", "improve"),
    "simulate": ("simulate", "model", "run through"),
    "solve": ("solve", "work out"),
    "monitor": ("monitor", "watch", "keep an eye on"),
}
"""Verbs as tools are named with them, and how people say them."""

ALSO_CALLED: dict[str, tuple[str, ...]] = {
    "weather": ("forecast", "weather forecast"), "email": ("mail", "message", "e-mail"), "mail": ("email", "letter"),
    "flight": ("plane", "plane ticket", "flights"), "restaurant": ("table", "place to eat", "somewhere to eat"),
    "table": ("spot", "seat"), "movie": ("film",), "film": ("movie",), "music": ("tunes", "songs", "something"),
    "song": ("track", "tune"), "track": ("song", "tune"), "meeting": ("call", "appointment", "catch up", "sync"),
    "appointment": ("meeting", "slot", "visit"), "event": ("meeting", "thing", "entry"), "reminder": ("note", "alert"),
    "alarm": ("wake up call", "alert"), "message": ("text", "note", "line"), "taxi": ("cab", "ride", "car"), "cab": ("taxi", "ride"),
    "ride": ("cab", "lift", "taxi"), "hotel": ("room", "place to stay", "stay"), "room": ("space", "place"),
    "invoice": ("bill",), "bill": ("invoice",), "payment": ("transfer", "money"), "expense": ("cost", "receipt"),
    "money": ("cash", "funds"), "picture": ("photo", "image"), "photo": ("picture", "shot"), "image": ("picture", "photo"),
    "task": ("to-do", "todo", "job"), "todo": ("task",), "ticket": ("issue", "case"), "issue": ("ticket", "bug", "problem"),
    "bug": ("issue", "problem"), "order": ("purchase",), "package": ("parcel", "delivery", "box"), "parcel": ("package", "delivery"),
    "shipment": ("delivery", "package"), "delivery": ("shipment", "parcel"), "doctor": ("physician", "gp"),
    "customer": ("client",), "client": ("customer",), "employee": ("colleague", "coworker", "worker"), "user": ("person", "account"),
    "contact": ("number", "person"), "phone": ("mobile", "cell"), "car": ("vehicle", "auto"), "vehicle": ("car",),
    "house": ("home", "place"), "home": ("house", "place"), "apartment": ("flat",), "flat": ("apartment",),
    "job": ("position", "work"), "file": ("document",), "document": ("file", "doc", "paper"), "report": ("summary", "write-up"),
    "news": ("headlines",), "stock": ("share", "shares"), "price": ("cost",), "cost": ("price",), "balance": ("amount left",),
    "account": ("profile",), "leave": ("time off", "vacation", "holiday", "days off"), "vacation": ("holiday", "time off", "leave"),
    "holiday": ("vacation", "time off", "trip"), "trip": ("journey", "travel"), "journey": ("trip",), "route": ("way", "directions"),
    "directions": ("way", "route"), "recipe": ("dish",), "dish": ("meal", "food"), "meal": ("food", "dish"), "food": ("meal",),
    "shift": ("hours", "slot"), "light": ("lamp", "lights"), "lights": ("light", "lamp"), "temperature": ("heating", "heat"),
    "thermostat": ("heating", "temperature"), "door": ("lock",), "class": ("course", "lesson"), "course": ("class",),
    "lesson": ("class",), "exam": ("test",), "test": ("exam", "check"), "book": ("novel",), "article": ("piece", "post"),
    "post": ("article", "entry"), "comment": ("reply", "remark"), "review": ("rating", "opinion"), "rating": ("score",),
    "score": ("points", "result"), "game": ("match",), "match": ("game",), "concert": ("gig", "show"), "show": ("series", "programme"),
    "series": ("show",), "video": ("clip",), "gift": ("present",), "present": ("gift",), "shop": ("store",), "store": ("shop",),
    "reservation": ("booking",), "booking": ("reservation",), "subscription": ("plan", "membership"), "refund": ("money back",),
    "coupon": ("voucher", "code"), "discount": ("deal", "reduction"), "password": ("login", "pin"), "backup": ("copy",),
    "medicine": ("pills", "drug"), "prescription": ("medicine", "meds"), "clothes": ("outfit",), "shoes": ("sneakers",),
    "dog": ("puppy",), "pet": ("animal",), "animal": ("creature",), "plant": ("flower",), "garden": ("yard",), "lawn": ("grass",),
    "bin": ("trash",), "bike": ("bicycle",), "bus": ("coach",), "train": ("rail ticket",), "road": ("street",), "city": ("town",),
    "friend": ("mate", "buddy"), "party": ("celebration",), "wedding": ("marriage",), "interview": ("talk",), "offer": ("deal",),
    "contract": ("agreement",), "loan": ("credit",), "tax": ("taxes",), "salary": ("pay", "wage"), "budget": ("spending limit",),
}  # fmt: skip
"""Things as tools are named with them, and what else people call them."""

NOUNS: tuple[str, ...] = tuple(
    """
    account address agenda airport alarm album animal apartment appliance application appointment archive
    article asset assignment asteroid auction audit backup badge balance ballot bank basket battery beacon bed
    bike bill blanket blog boat book booking bottle box branch bridge budget bug building bus cabin cake
    calendar call camera campaign candidate car card cargo carpet cart case catalog cell certificate chair
    channel chapter charge chart check class client clinic clock cloud club coach code coffee coin collection
    comment commit company complaint concert contact container contract course coupon crate crop customer cycle
    dashboard data dataset deal deadline debt delivery department deposit design desk device diagnosis diet
    dinner directory discount dish dispatch document dog domain donation door draft drawer dress drone drug
    duty editor election elevator email employee engine entry equation essay estate event exam exchange
    exercise exhibit expense experiment export fabric facility factory farm fee feed ferry field file film
    filter fine fleet flight floor flower folder forecast forest form formula forum fridge fund furniture
    gallery game garage garden gate gene gift glass goal grade grant graph group guest guide habit hall
    harvest headline heater hike holiday home horse hospital hotel house image income index ingredient
    inspection insurance interview inventory invoice island issue item job journal journey keyboard kit
    kitchen lab label lake lamp landlord language laptop laundry lawn lawyer lead league lease lecture lens
    lesson letter level library licence light line list loan locker log lottery luggage lunch machine mail
    manual map market match matrix meal measurement medicine meeting member memo menu merchant message meter
    milestone mill mine mirror mission model module molecule mood mortgage motor museum network newsletter
    note notice notification nurse office offer order organ outage oven package painting panel parcel park
    part partner party passport password patent patient payment payroll pension permit pet phone photo
    pipeline pitch plan planet plant platform plot podcast poem policy poll pool port portfolio post poster
    prescription price printer prize product profile program project property proposal protein puzzle quest
    question queue quiz quota quote rack radio receipt recipe record refund region rehearsal reminder rental
    repair report repository request reservation residue result review reward ride risk road robot role room
    rota route rule salary sale sample scan schedule school score screen sculpture season seat section sensor
    sentence server service session shelf shift ship shipment shoe shop shower signal skill sketch slot
    snapshot song sound source species spectrum spreadsheet stage star station statement statistics stock
    storage store storm story stream street student studio subscription suite summary supplier survey symptom
    system table tank target task tax taxi team temperature template tenant tent term test theater therapy
    ticket tide timer tool topic tour tower toy trace track trade trail train training transaction transcript
    transfer trip truck tube tunnel tutor tyre umbrella uniform unit update user vacancy vaccine valley valve
    van vault vehicle vendor venue version video village visa visit visitor voice volume vote voucher wallet
    warehouse warranty water wave wedding wheel wifi window wine word workout workshop wound yacht yield zone
    """.split()
)

ADJECTIVES: tuple[str, ...] = tuple(
    """
    active annual average basic big black blue bright calm central cheap clean clear closed cold common current
    daily dark deep detailed digital direct double draft early easy electric empty entire exact express external
    fast final fixed flat flexible foreign formal free fresh full general global gold good green half hard heavy
    hidden high hot huge internal large last late light local long loud low main major manual medium mild minor
    mobile modern monthly narrow natural new next nice normal old online open orange organic outdoor partial
    personal pink plain premium primary private public pure quick quiet random rare raw recent red regional
    regular remote rough round safe secondary senior shared sharp short silent silver simple single slow small
    smart soft solid special standard steady strong sweet tall temporary thick thin tiny total upper urban urgent
    valid vintage warm weekly white wide wild young yellow
    """.split()
)

OPENERS: tuple[str, ...] = (
    "please", "can you", "could you", "could you please", "can you please", "i want to", "i'd like to",
    "i would like to", "i need to", "i have to", "help me", "hey,", "hi,", "hello,", "ok,", "pls", "would you",
    "let's", "we need to", "i'm trying to", "go ahead and", "just", "quickly", "now", "hey can you", "hi, please",
    "i was wondering if you could", "would it be possible to", "do me a favour and", "you should", "kindly",
)  # fmt: skip
"""What stands before a command."""

CHATTER: tuple[str, ...] = (
    "hi there.", "good morning!", "hey, quick one.", "sorry to bother you.", "ok so here's the thing.",
    "thanks for earlier.", "one more thing.", "i almost forgot.", "busy day today.", "my boss just called.",
    "i'm in a hurry.", "finally got round to this.", "this has been on my list for ages.", "right then.",
    "so i was thinking.", "not sure this is the right place to ask.", "as discussed with the team.",
    "back from lunch.", "it's been a long week.", "before i forget:", "hope you're well.", "me again.",
    "we talked about it yesterday.", "the kids are asleep at last.", "ugh, mondays.", "next item.",
)  # fmt: skip
"""What people say around the point."""

SMALL_TALK: tuple[str, ...] = (
    "hi", "hello there", "good morning", "thanks a lot", "thank you, that's all", "how are you?", "who are you",
    "what can you do?", "tell me a joke", "you're great", "never mind", "ok", "cool, thanks", "are you a robot",
    "i'm bored", "that was quick", "what do you think about love", "sing something for me", "i love you",
    "do you sleep?", "forget it", "hmm let me think", "what's the meaning of life", "bye", "see you later",
    "that's not what i meant", "haha nice", "i had a terrible day", "what is your favourite colour",
    "why is the sky blue?", "how tall are you", "did you have a good weekend?", "good night", "test", "asdf",
    "can you help me?", "i need some advice about my life", "say something funny", "no, nothing else",
)  # fmt: skip
"""Requests that no tool serves."""

_SYLLABLES = "ba be bo da de di do fa fe fi ga go ka ke ki ko la le li lo lu ma me mi mo na ne ni no pa pe po ra re ri ro sa se si so ta te ti to va ve vi vo za zo tra kri plo ster van mor lin dex nor zan quil bra fen gor".split()  # noqa: E501


def invented(rng: random.Random) -> str:
    """Return a word that no dictionary has."""
    return "".join(rng.choice(_SYLLABLES) for _ in range(rng.choice((2, 2, 3))))
