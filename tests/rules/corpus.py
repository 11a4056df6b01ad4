"""Invented progress notes with planted faults, fixed before the detectors were written.

Nothing here comes from what the detectors use: given names, surnames and nicknames are written down
by hand from American usage, typos follow a keyboard and a typist's slips, and the sentences are
composed here. Everybody in it is invented; the same seed always gives the same notes.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

SEED = 90853

# --- people

NICKNAMES = {
    "William": "Bill Billy Willie Liam",
    "Robert": "Bob Bobby Rob Robbie",
    "Richard": "Rick Dick Richie",
    "James": "Jim Jimmy Jamie",
    "John": "Johnny Jack",
    "Charles": "Charlie Chuck",
    "Thomas": "Tom Tommy",
    "Michael": "Mike Mikey",
    "Joseph": "Joe Joey",
    "Edward": "Ed Eddie Ted",
    "Daniel": "Dan Danny",
    "Matthew": "Matt",
    "Anthony": "Tony",
    "Steven": "Steve",
    "Kenneth": "Ken Kenny",
    "Ronald": "Ron Ronnie",
    "Timothy": "Tim Timmy",
    "Jeffrey": "Jeff",
    "Gregory": "Greg",
    "Benjamin": "Ben Benny Benji",
    "Samuel": "Sam Sammy",
    "Alexander": "Alex Xander",
    "Nicholas": "Nick Nicky",
    "Andrew": "Andy Drew",
    "Christopher": "Chris Topher",
    "Lawrence": "Larry",
    "Gerald": "Jerry",
    "Raymond": "Ray",
    "Douglas": "Doug",
    "Patrick": "Pat Paddy",
    "Theodore": "Teddy Theo",
    "Frederick": "Fred Freddy",
    "Leonard": "Len Lenny",
    "Zachary": "Zach",
    "Nathaniel": "Nate Nathan",
    "Jonathan": "Jon",
    "Vincent": "Vinny Vince",
    "Elizabeth": "Liz Beth Betty Lizzie Eliza",
    "Margaret": "Maggie Peggy Meg Marge",
    "Katherine": "Kate Kathy Katie",
    "Patricia": "Patty Trish Pat",
    "Jennifer": "Jen Jenny",
    "Susan": "Sue Susie",
    "Barbara": "Barb Barbie",
    "Deborah": "Deb Debbie",
    "Rebecca": "Becky Becca",
    "Victoria": "Vicky Tori",
    "Christina": "Tina Chrissy",
    "Kimberly": "Kim",
    "Pamela": "Pam",
    "Cynthia": "Cindy",
    "Sandra": "Sandy",
    "Dorothy": "Dot Dottie",
    "Virginia": "Ginny",
    "Theresa": "Terry Tess",
    "Amanda": "Mandy",
    "Samantha": "Sam",
    "Stephanie": "Steph",
    "Abigail": "Abby",
    "Jessica": "Jess Jessie",
    "Jacqueline": "Jackie",
    "Catherine": "Cathy Cate",
    "Judith": "Judy",
    "Eleanor": "Ellie Nell",
    "Josephine": "Josie Jo",
    "Angela": "Angie",
    "Gabrielle": "Gabby",
    "Valerie": "Val",
    "Melissa": "Missy",
    "Allison": "Allie",
    "Natalie": "Nat",
    "Bernadette": "Bernie",
}
PLAIN = [
    "Aisha",
    "Hector",
    "Lakshmi",
    "Omar",
    "Yolanda",
    "Dmitri",
    "Marisol",
    "Kofi",
    "Ingrid",
    "Tyrone",
    "Soledad",
    "Wendell",
    "Priscilla",
    "Guillermo",
    "Tamika",
    "Rashid",
    "Bronwyn",
    "Esteban",
    "Nadine",
    "Cedric",
    "Rosalind",
    "Darnell",
    "Imelda",
    "Quentin",
    "Beatriz",
    "Malik",
    "Harriet",
    "Enrique",
    "Shauna",
    "Lionel",
    "Tatiana",
    "Percy",
    "Camila",
    "Roland",
    "Denise",
    "Felipe",
    "Gwendolyn",
    "Jamal",
    "Lorena",
    "Stuart",
    "Maribel",
    "Trevor",
]
WORDS = [
    "Grace",
    "Will",
    "May",
    "Hope",
    "Faith",
    "Joy",
    "Mark",
    "Rose",
    "Art",
    "Frank",
    "Grant",
    "Chase",
    "Summer",
    "June",
    "Dawn",
    "Drew",
    "Miles",
    "Dean",
    "Serenity",
    "Charity",
    "Patience",
    "Melody",
    "Iris",
    "Ivy",
    "Ruby",
    "Amber",
    "Crystal",
    "Heather",
    "Daisy",
    "Ginger",
    "Wade",
    "Cliff",
    "Dale",
    "Gene",
]
SURNAMES = [
    "Abernathy",
    "Castellanos",
    "Delacroix",
    "Escobedo",
    "Ferreira",
    "Galloway",
    "Hashimoto",
    "Ibarra",
    "Jankowski",
    "Kowalczyk",
    "Lindqvist",
    "Mbeki",
    "Nakamura",
    "Okonkwo",
    "Pemberton",
    "Quintanilla",
    "Rasmussen",
    "Szymanski",
    "Thibodeaux",
    "Underwood",
    "Villanueva",
    "Whitaker",
    "Yamamoto",
    "Zambrano",
    "Achterberg",
    "Brannigan",
    "Chaudhary",
    "Dombrowski",
    "Eskildsen",
    "Fitzgerald",
    "Gutierrez",
    "Hollingsworth",
    "Iglesias",
    "Johansson",
    "Krishnan",
    "Lombardi",
    "Montgomery",
    "Navarro",
    "Oyelaran",
    "Petrosyan",
    "Radcliffe",
    "Santangelo",
    "Trujillo",
]
WORD_SURNAMES = [
    "Young",
    "Long",
    "Brown",
    "Green",
    "Rivers",
    "Banks",
    "Stone",
    "Cook",
    "Day",
    "Love",
    "Strong",
    "Moody",
    "Price",
    "Page",
    "Powers",
    "Ward",
    "Snow",
    "Winters",
    "Beck",
    "Burns",
    "Walker",
    "Church",
    "Field",
    "Gray",
    "Little",
    "Best",
]


@dataclass(frozen=True, slots=True)
class Person:
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Written:
    """One note of one patient, ``roster[owner]``. ``planted`` names what was put into it, or is
    empty; ``hard`` that it was made to look as if. ``before`` is an earlier note to compare with:
    of another patient in the room or, with ``same_patient``, of an earlier week."""

    roster: tuple[Person, ...]
    owner: int
    clinician: Person
    participation: str
    progress: str
    necessity: str
    planted: str = ""
    hard: bool = False
    group_summary: str = ""
    before: Written | None = None
    same_patient: bool = False


# --- what notes say

OPENINGS = (
    "Spoke {early} about {matter} and asked for {wish}.",
    "Listened for most of the hour, then {did} when {matter} came up.",
    "Arrived {mood}; after the check-in {did}.",
    "Read aloud from the {sheet} and named {matter} as the hardest part of the week.",
    "Volunteered for the exercise, {did}, and took feedback without arguing.",
    "Declined the first exercise, explained that {matter} was too fresh, and joined the second.",
    "Described {matter} in detail and checked twice whether others found it too much.",
    "Kept eye contact with the circle and {did} in the second half.",
    "Wrote in the {sheet} throughout and offered one sentence on {matter}.",
    "Challenged the idea that {matter} must be hidden and {did}.",
    "Became quiet when {matter} was mentioned; with prompting {did}.",
    "Summarized the discussion in own words and linked it to {matter}.",
)
PROGRESSES = (
    "Used {skill} on {n} of seven days; the goal asks for {m}.",
    "Rates {measure} {n} of 10 this week against {m} at the start of the plan.",
    "Has {milestone}, the first step named in the plan.",
    "Still {obstacle}, yet recovers within {n} minutes instead of an hour.",
    "Slept {n} hours on most nights after adopting {skill}.",
    "No change in {measure}; the plan's step was made smaller and {skill} added.",
    "Two setbacks this week: {obstacle}, both repaired with {skill}.",
    "Completed the homework on {skill} and brought {n} entries to discuss.",
    "Reached the target for {measure} and chose the next one, {milestone} by the review.",
    "Reports that {obstacle} less often, about {n} times since the last session.",
)
NECESSITIES = (
    "The group gives the audience that {problem} avoids, which no individual hour can offer.",
    "Peers who live with {problem} correct beliefs that the clinician's word alone has not moved.",
    "Needs repeated practice of {skill} with several partners to generalize it beyond the office.",
    "{Problem} is kept going by isolation; regular contact is itself the intervention.",
    "Hearing others recover from {problem} has been the only thing to raise motivation so far.",
    "Interpersonal triggers of {problem} occur live here and can be worked through at once.",
    "Individual sessions reached a plateau in {month}; feedback from equals is the next step of "
    "care.",
    "Shame about {problem} lessens only when it is told to people who do not turn away.",
)
FILLERS: dict[str, tuple[str, ...]] = {
    "early": ("early", "second", "briefly", "at length", "without being asked", "in a low voice"),
    "matter": (
        "a quarrel over the rent",
        "the first shift after sick leave",
        "an unopened letter from the court",
        "the anniversary of a loss",
        "being passed over at work",
        "a panic on the bus",
        "a son who does not call",
        "a relapse at a wedding",
        "an empty house in the evening",
        "a diagnosis in the family",
        "a missed exam",
        "the noise at the shelter",
        "a loan that fell through",
        "a neighbor's complaint",
        "a canceled surgery",
        "the dog's illness",
        "an apology that came too late",
        "a crowded clinic",
        "an eviction notice",
        "two nights without sleep",
    ),
    "wish": (
        "advice",
        "practical ideas",
        "nothing but a hearing",
        "a second opinion",
        "help with wording",
    ),
    "did": (
        "told the story from the other side",
        "tried the breathing and timed it",
        "set a limit in a role play",
        "named three feelings instead of one",
        "drew the chain from thought to act",
        "laughed at an old fear",
        "asked the room a direct question",
        "disputed a catastrophic forecast",
        "shared a list of warning signs",
        "let a silence stand",
        "practiced saying no",
        "rehearsed a telephone call",
        "wept and stayed",
    ),
    "mood": (
        "tense",
        "cheerful",
        "ten minutes late",
        "tired after a double shift",
        "guarded",
        "restless",
    ),
    "sheet": (
        "thought record",
        "worksheet",
        "diary card",
        "crisis plan",
        "values list",
        "activity log",
    ),
    "skill": (
        "paced breathing",
        "opposite action",
        "the worry window",
        "urge surfing",
        "the five-senses exercise",
        "scheduled activity",
        "the stop card",
        "assertive scripts",
        "sleep restriction",
        "graded exposure",
        "self-monitoring",
        "a gratitude line",
        "muscle relaxation",
        "the pros-and-cons sheet",
    ),
    "n": ("two", "three", "four", "five", "six"),
    "m": ("seven", "eight", "nine", "one", "ten"),
    "measure": ("low mood", "anxiety", "craving", "anger", "loneliness", "self-esteem", "tension"),
    "milestone": (
        "opened the mail every day",
        "called the landlord",
        "gone to the store alone",
        "returned to the choir",
        "asked for a schedule change",
        "driven over the bridge",
        "cooked for a guest",
        "finished an application",
        "kept a full week of meals",
        "walked to the library",
    ),
    "obstacle": (
        "wakes before dawn",
        "checks the door many times",
        "cancels plans at the last minute",
        "skips lunch",
        "raises the voice at home",
        "drinks alone on Fridays",
        "scrolls until late",
        "avoids the second floor",
        "replays the accident",
        "puts off the paperwork",
    ),
    "problem": (
        "panic",
        "grief",
        "social fear",
        "the depressive episode",
        "craving",
        "anger",
        "trauma",
        "obsessive doubt",
        "chronic worry",
        "burnout",
        "loss of role",
        "mistrust",
    ),
    "month": ("January", "March", "October", "November", "the fall", "the winter"),
}
SUMMARIES = (
    "The group reviewed the stages of change, took turns with the decisional balance sheet and "
    "closed with a breathing exercise. The therapist modeled reflective listening and kept time.",
    "After a check-in the session introduced thinking traps with examples from daily life. Members "
    "practiced in pairs, and the therapist drew common themes together on the board.",
    "The hour was given to saying no: a short lesson, two demonstrations and practice in threes, "
    "followed by a round in which each named one situation to try before next week.",
)

# --- how another member gets into a note

NAMING = (
    "Responded to {N}'s account of the layoff with an example from home.",
    "Sat beside {N} and was the first to speak after the break.",
    "{N} shared a similar memory, which brought relief.",
    "Was visibly moved when {N} described the funeral.",
    "Disagreed with {N} about returning to work, later apologized.",
    "Offered {N} a ride and was reminded of the group's rules.",
    "Compared sleep logs with {N} and found the same pattern.",
    "Thanked {N} for the honest feedback.",
    "Role-played the phone call with {N}, who took the landlord's part.",
    "Said that {N} reminds this patient of a younger brother.",
    "{N} asked how the interview had gone; answered in detail.",
    "Felt criticized by {N} and said so calmly.",
    "Along with {N}, argued for a later starting time.",
    "Recognized own avoidance in the story that {N} told.",
    "Told the room that {N} had called twice during the week.",
    "{N} and this patient agreed to text each other before cravings.",
    "Another member, {N}, pointed out the progress since spring.",
    "Encouraged {N} to try the exercise again.",
    "Interrupted {N} once, noticed it and apologized.",
    "Took up a suggestion from {N} about mornings.",
    "{N} became tearful and this patient handed over the tissues.",
    "Was paired with {N} for the listening exercise.",
)

# --- what only looks like it

INNOCENT: dict[str, tuple[str, ...]] = {
    "Grace": (
        "Allows a little grace for mistakes at work.",
        "Grace under pressure was the word chosen for the week.",
    ),
    "Will": (
        "Will practice breathing before bed.",
        "Has made a will and feels lighter.",
        "Says the will to change is back. Will call the clinic.",
    ),
    "May": (
        "May benefit from a second weekly group.",
        "Hopes to return to work in May.",
        "The review is set for May 12.",
    ),
    "Hope": (
        "Hope was rated four of ten.",
        "Expressed hope for the first time since winter.",
        "HOPE SCALE: 31, up from 24.",
    ),
    "Faith": ("Faith in treatment is returning.", "Draws on faith and on a weekly choir."),
    "Joy": ("Joy is hard to feel before noon.", "Listed moments of joy in the activity log."),
    "Mark": (
        "Missed the mark set last week and said why.",
        "Mark on the forearm was discussed and is an old burn.",
    ),
    "Rose": (
        "Rose early on six days.",
        "Mood rose after the walk.",
        "Planted a rose for the anniversary.",
    ),
    "Art": ("Art class was resumed on Saturdays.", "Finds the art of saying no exhausting."),
    "Frank": ("Was frank about the relapse.", "Frank talk about money was new."),
    "Grant": ("Applied for a housing grant.", "Asks others to grant time before judging."),
    "Chase": (
        "Stopped the chase after perfect sleep.",
        "Chase Bank froze the account, a stressor this week.",
    ),
    "Summer": ("Plans for the summer are taking shape.", "Summer was the worst season last year."),
    "June": ("Has been sober since June.", "June 3 is the court date."),
    "Dawn": ("Wakes at dawn and stays up.", "Dawn walks replaced scrolling."),
    "Drew": ("Drew the chain of events on paper.", "The exercise drew tears."),
    "Miles": ("Walked two miles on most days.", "Miles of paperwork feel lighter when shared."),
    "Dean": ("The dean approved the leave.", "Met with the dean about the missed exam."),
    "Serenity": (
        "Serenity is the goal for evenings.",
        "Recites the serenity prayer before meetings.",
    ),
    "Charity": ("Charity work on Sundays gives structure.", "Volunteers for a charity."),
    "Patience": ("Patience with the children is growing.", "Lost patience twice this week."),
    "Melody": (
        "Hummed a melody to ground during the exercise.",
        "Melody and rhythm help with sleep.",
    ),
    "Iris": (
        "Follows the iris test at the eye clinic with worry.",
        "Iris bulbs were planted as an activity.",
    ),
    "Ivy": (
        "Cleared ivy from the fence as a planned activity.",
        "Ivy on the old house triggered a memory.",
    ),
    "Ruby": ("A ruby ring from the mother was pawned.", "Ruby slippers were the joke of the hour."),
    "Amber": ("Uses green, amber and red days to chart mood.", "Amber days outnumber red ones."),
    "Crystal": (
        "Has not used crystal meth for ninety days.",
        "Crystal clear plan for Friday night.",
    ),
    "Heather": (
        "Heather on the moor served as the calming image.",
        "Chose heather as the scent for grounding.",
    ),
    "Daisy": ("Picked a daisy on the mindful walk.", "Daisy chains were made with the niece."),
    "Ginger": ("Ginger tea replaces wine in the evening.", "Was ginger about the sore shoulder."),
    "Wade": ("Afraid to wade into conflict.", "Wade pools at the park are calming."),
    "Cliff": ("Dreamed of a cliff again.", "Cliff edges appear in the nightmare."),
    "Dale": (
        "Walks in the dale behind the house.",
        "Dale and hill were named in the guided image.",
    ),
    "Gene": ("Worries about a gene in the family.", "Gene tests are pending."),
    "Austin": (
        "Drove to Austin for the weekend without panic.",
        "Moved back from Austin in the fall.",
    ),
    "Virginia": ("Misses the mountains in Virginia.", "Drove through Virginia without stopping."),
    "Charlotte": ("Has a job offer in Charlotte.", "Flew to Charlotte despite the fear."),
    "Dallas": ("Visited the daughter in Dallas.", "Lived near Dallas until the divorce."),
    "Georgia": ("Grew up in Georgia on a farm.", "Returned from Georgia calmer."),
    "Madison": (
        "Studies in Madison and comes home monthly.",
        "Left Madison, Wisconsin, after the fire.",
    ),
    "Jackson": ("Works nights in Jackson.", "Jackson, Mississippi, is where the trauma happened."),
    "Savannah": ("Plans a trip to Savannah.", "Walked through Savannah as a mindful exercise."),
    "Young": (
        "Was told to be strong when young.",
        "Young children at home limit sleep.",
        "Young Mania Rating Scale: 6.",
    ),
    "Long": ("Took a long walk.", "Long evenings are the hardest."),
    "Brown": (
        "Wore the brown coat of the late husband.",
        "Brown rice and early dinners are part of the plan.",
    ),
    "Green": ("Seeks green space at lunch.", "Green days outnumber red ones."),
    "Rivers": (
        "Pictures two rivers meeting as a calming image.",
        "Rivers and bridges trigger the memory.",
    ),
    "Banks": ("Avoids banks and sends letters instead.", "Banks refused the loan."),
    "Stone": ("Carries a smooth stone for grounding.", "Stone by stone was the motto."),
    "Cook": ("Began to cook on Sundays.", "Cook once, eat twice was the tip."),
    "Day": ("Has one good day in three.", "Day program starts next week."),
    "Love": ("Speaks of love for the garden.", "Love was the theme of the letter."),
    "Strong": ("Urges are strong at payday.", "Strong coffee after four was given up."),
    "Moody": ("Feels moody before storms.", "Moody mornings are fewer."),
    "Price": ("Named the price of avoidance.", "Price of rent is the main stressor."),
    "Page": ("Filled a page of the diary.", "Page two of the worksheet was completed."),
    "Powers": ("Listed own powers and limits.", "Powers of attorney were signed."),
    "Ward": ("Fears a return to the ward.", "Tries to ward off worry with chores."),
    "Snow": ("Shoveled snow as planned activity.", "Snow kept the family apart."),
    "Winters": ("Past winters brought relapse.", "Winters are hard since the loss."),
    "Beck": (
        "Beck Depression Inventory fell from 31 to 22.",
        "Completed the Beck Anxiety Inventory.",
    ),
    "Burns": ("Old burns still ache in cold rooms.", "Burns Depression Checklist was repeated."),
    "Walker": ("Uses a walker since the fall.", "Walker and cane were both tried."),
    "Church": ("Returned to church on Sunday.", "Church friends call weekly."),
    "Field": ("Left the field of nursing.", "Field trips are avoided."),
    "Gray": ("Describes gray mornings.", "Gray areas are hard to bear."),
    "Little": ("Felt a little lighter.", "Little by little was the motto."),
    "Best": ("Did the best to listen.", "Best week since the accident."),
    "Brian": ("Fears that the brain is damaged.", "Brain fog lifted by noon."),
    "Maria": ("No sign of mania this week.", "Mania was explained to the family."),
    "Carol": ("Sings carols with the choir.", "Coral colors were used in the drawing."),
    "James": ("Plays games online until late.", "Games night replaced the bar."),
    "Marc": ("Began the job in March.", "March was a hard month."),
    "Karen": ("Takes Klonopin as needed.", "Earned a certificate."),
    "Daniel": ("Was denied the leave.", "Denial was discussed openly."),
    "Peter": (
        "Walks one kilometer more than in fall.",
        "Steps are counted with a pedometer meter.",
    ),
    "Helen": ("Asks for help before crises.", "Held back at first."),
    "Frances": ("Pays for fancies and regrets it.", "Finances were sorted with help."),
}
ABBREVIATIONS = (
    "Attends AA twice a week and DBT skills class on Mondays.",
    "PT for the shoulder continues; BP normal. Denies SI and HI.",
    "Sleeps from 11 PM to 5 AM, as charted.",
    "The VA approved the travel claim. PHQ-9: 14.",
    "MD follow-up is set; labs OK. EMDR was discussed.",
    "Seen in the ER in the fall; DV screen negative. Works in IT.",
)
CLINICIAN_INITIALS = ("AA", "PT", "SI", "HI", "PM", "AM", "VA", "MD", "ER", "DV", "IT", "OK")


def _filled(random: Random, template: str) -> str:
    text = template
    for name, options in FILLERS.items():
        while "{" + name + "}" in text:
            text = text.replace("{" + name + "}", random.choice(options), 1)
        capital = name.capitalize()
        while "{" + capital + "}" in text:
            option = random.choice(options)
            text = text.replace("{" + capital + "}", option[0].upper() + option[1:], 1)
    return text


def _texts(random: Random, count: int) -> list[tuple[str, str, str]]:
    """``count`` individual sections of one room, each composed for itself."""
    opened = random.sample(OPENINGS, count)
    went = random.sample(PROGRESSES, count)
    needed = random.sample(NECESSITIES, count)
    made = []
    for opening, progress, necessity in zip(opened, went, needed, strict=True):
        further = _filled(
            random, random.choice([item for item in OPENINGS if item not in opened] or OPENINGS)
        )
        made.append(
            (
                _filled(random, opening) + " " + further,
                _filled(random, progress),
                _filled(random, necessity),
            )
        )
    return made


def _room(random: Random, *, must: Person | None = None, size: int = 8) -> tuple[Person, ...]:
    """People whose first and last names all differ; ``must`` sits somewhere among them."""
    firsts = random.sample([*NICKNAMES, *PLAIN], size)
    lasts = random.sample(SURNAMES, size)
    people = [Person(first, last) for first, last in zip(firsts, lasts, strict=True)]
    if must is not None:
        people[random.randrange(size)] = must
    return tuple(people)


_CLINICIAN = Person("Thespia", "Concocted")


def _others(random: Random, owner: int, size: int) -> int:
    return random.choice([place for place in range(size) if place != owner])


def _with(random: Random, texts: tuple[str, str, str], sentence: str) -> tuple[str, str, str]:
    """The sentence put before, between or after a section's own."""
    place = random.choice((0, 0, 1, 2))
    parts = list(texts)
    own = parts[place].split(". ")
    own = [item if item.endswith(".") else item + "." for item in own]
    own.insert(random.randrange(len(own) + 1), sentence)
    parts[place] = " ".join(own)
    return parts[0], parts[1], parts[2]


# --- a typist's slips

_KEYS = {
    "q": "wa",
    "w": "qes",
    "e": "wrd",
    "r": "etf",
    "t": "ryg",
    "y": "tuh",
    "u": "yij",
    "i": "uok",
    "o": "ipl",
    "p": "ol",
    "a": "qsz",
    "s": "adw",
    "d": "sfe",
    "f": "dgr",
    "g": "fht",
    "h": "gjy",
    "j": "hku",
    "k": "jli",
    "l": "kop",
    "z": "xa",
    "x": "zcs",
    "c": "xvd",
    "v": "cbf",
    "b": "vng",
    "n": "bmh",
    "m": "nk",
}


def mistyped(random: Random, name: str) -> str:
    """``name`` with one slip after its first letter: a key left out, doubled, swapped or missed."""
    place = random.randrange(1, len(name))
    slip = random.choice(("left out", "doubled", "swapped", "missed"))
    if slip == "left out":
        return name[:place] + name[place + 1 :]
    if slip == "doubled":
        return name[:place] + name[place] + name[place:]
    if slip == "swapped":
        place = min(place, len(name) - 2)
        if name[place] == name[place + 1]:
            return name[:place] + name[place + 1 :]
        return name[:place] + name[place + 1] + name[place] + name[place + 2 :]
    return name[:place] + random.choice(_KEYS[name[place].lower()]) + name[place + 1 :]


def _initials(random: Random, person: Person) -> str:
    first, last = person.first[0], person.last[0]
    return random.choice((f"{first}.{last}.", f"{first}{last}", f"{first}. {last}."))


def _said(random: Random, kind: str, person: Person) -> str:
    """How the note names ``person``."""
    if kind == "full name":
        return random.choice((f"{person.first} {person.last}", f"{person.last}, {person.first}"))
    if kind == "first name":
        return person.first
    if kind == "last name":
        return random.choice(("Mr. ", "Ms. ", "")) + person.last
    if kind == "nickname":
        return random.choice(NICKNAMES[person.first].split())
    if kind == "initials":
        return _initials(random, person)
    long = [name for name in (person.first, person.last) if len(name) >= 5]
    return mistyped(random, random.choice(long))


NAME_KINDS = ("full name", "first name", "last name", "word name", "nickname", "initials", "typo")


def named(random: Random, kind: str, number: int) -> Written:
    """A note in which another member is named."""
    if kind == "word name":
        must = Person(WORDS[number % len(WORDS)], random.choice(SURNAMES))
    elif kind == "nickname":
        must = Person(list(NICKNAMES)[number % len(NICKNAMES)], random.choice(SURNAMES))
    else:
        must = None
    while True:
        roster = _room(random, must=must)
        owner = random.randrange(len(roster))
        whom = roster[_others(random, owner, len(roster))] if must is None else must
        firsts = {person.first for person in roster}
        if whom is not roster[owner] and len(firsts) == len(roster):
            break
    said = _said(random, "first name" if kind == "word name" else kind, whom)
    sentence = NAMING[number % len(NAMING)].replace("{N}", said).replace("..", ".")
    if kind in ("first name", "nickname") and number % 9 == 8:
        sentence = sentence.replace(said, said.lower())
    texts = _with(random, _texts(random, 1)[0], sentence)
    return Written(roster, owner, _CLINICIAN, *texts, planted=kind)


def innocent(random: Random, name: str, sentence: str) -> Written:
    """A note that uses a word which is also the name of another member, or nearly so."""
    last = name in WORD_SURNAMES
    must = Person(random.choice(PLAIN), name) if last else Person(name, random.choice(SURNAMES))
    roster = _room(random, must=must)
    owner = random.choice([place for place, person in enumerate(roster) if person is not must])
    texts = _with(random, _texts(random, 1)[0], sentence)
    return Written(roster, owner, _CLINICIAN, *texts, hard=True)


def about_themselves(random: Random, number: int) -> Written:
    """A note that names its own patient, the clinician, or uses another's initials as a term."""
    roster = _room(random)
    owner = random.randrange(len(roster))
    own = roster[owner]
    if number % 3 == 0:
        short = random.choice(NICKNAMES.get(own.first, own.first).split())
        name = random.choice((own.first, own.last, short, f"{own.first[0]}.{own.last[0]}."))
        sentence = f"{name} said that the week had been long."
        if any(
            name in (person.first, *NICKNAMES.get(person.first, "").split())
            for person in roster
            if person is not own
        ):
            sentence = f"{own.last} said that the week had been long."
    elif number % 3 == 1:
        sentence = random.choice(
            (
                "Dr. Concocted explained the exercise again.",
                "Asked Thespia for a letter to the employer.",
            )
        )
    else:
        letters = CLINICIAN_INITIALS[number % len(CLINICIAN_INITIALS)]
        must = Person(
            random.choice(
                [
                    n
                    for n in (*NICKNAMES, *PLAIN, "Isaac", "Hugo", "Ursula", "Ophelia")
                    if n[0] == letters[0]
                ]
            ),
            random.choice(
                [n for n in SURNAMES if n[0] == letters[1]] or [letters[1] + "andermeer"]
            ),
        )
        roster = _room(random, must=must)
        owner = random.choice([p for p, person in enumerate(roster) if person is not must])
        sentence = next(
            item
            for item in ABBREVIATIONS
            if letters in item.replace(";", " ").split()
            or letters + "." in item.split()
            or letters + "," in item.split()
        )
    texts = _with(random, _texts(random, 1)[0], sentence)
    return Written(roster, owner, _CLINICIAN, *texts, hard=True)


# --- copied notes

_SYNONYMS = {
    "the": "a",
    "week": "month",
    "hour": "session",
    "after": "following",
    "with": "using",
    "when": "once",
    "others": "peers",
    "two": "four",
    "three": "five",
    "four": "six",
    "five": "three",
    "seven": "five",
    "asked": "looked",
    "most": "much",
    "room": "circle",
    "hardest": "worst",
    "second": "last",
    "and": "then",
}
CLONE_KINDS = ("identical", "few words", "reordered", "with summary", "half rewritten")


def _exchange(random: Random, text: str, share: float) -> str:
    """``share`` of the words replaced by others, at random places."""
    words = text.split(" ")
    for place in random.sample(range(len(words)), max(1, round(share * len(words)))):
        plain = words[place].strip(".,;")
        other = _SYNONYMS.get(plain, random.choice(("today", "again", "first", "slowly", "later")))
        words[place] = words[place].replace(plain, other) if plain else words[place]
    return " ".join(words)


def _reordered(random: Random, text: str) -> str:
    sentences = [item if item.endswith(".") else item + "." for item in text.split(". ")]
    return " ".join(reversed(sentences))


def copied(random: Random, kind: str, number: int) -> Written:
    """A note whose individual section was taken from another patient's, or from last week's."""
    roster = _room(random)
    owner = random.randrange(len(roster))
    summary = random.choice(SUMMARIES)
    source = _texts(random, 1)[0]
    same = number % 2 == 1
    first = Written(
        roster,
        owner if same else _others(random, owner, len(roster)),
        _CLINICIAN,
        *source,
        group_summary=summary,
    )
    if kind == "few words":
        texts = [_exchange(random, text, 0.03) for text in source[:1]] + list(source[1:])
    elif kind == "reordered":
        texts = [_reordered(random, source[0]), *source[1:]]
    elif kind == "with summary":
        texts = [summary + " " + source[0], *source[1:]]
    elif kind == "half rewritten":
        texts = [_exchange(random, text, 0.10) for text in source]
    else:
        texts = list(source)
    return Written(
        roster,
        owner,
        _CLINICIAN,
        *texts,
        planted=kind,
        group_summary=summary,
        before=first,
        same_patient=same,
    )


def independent(random: Random, number: int) -> Written:
    """Two notes that share the group's summary, headings and topic, and nothing else.

    Every third has the summary pasted into the individual section of both.
    """
    roster = _room(random)
    owner = random.randrange(len(roster))
    summary = random.choice(SUMMARIES)
    one, two = _texts(random, 2)
    if number % 3 == 0:
        one, two = (summary + " " + one[0], *one[1:]), (summary + " " + two[0], *two[1:])
    if number % 3 == 1:
        heads = ("Participation: ", "Movement toward goal: ", "Reason for group: ")
        one = tuple(head + text for head, text in zip(heads, one, strict=True))  # type: ignore[assignment]
        two = tuple(head + text for head, text in zip(heads, two, strict=True))  # type: ignore[assignment]
    same = number % 2 == 1
    first = Written(
        roster,
        owner if same else _others(random, owner, len(roster)),
        _CLINICIAN,
        *one,
        group_summary=summary,
    )
    return Written(
        roster,
        owner,
        _CLINICIAN,
        *two,
        hard=True,
        group_summary=summary,
        before=first,
        same_patient=same,
    )


def notes_for_names() -> list[Written]:
    """Notes with and without another member's name."""
    random = Random(SEED)
    made = [named(random, kind, number) for kind in NAME_KINDS for number in range(66)]
    made += [innocent(random, name, text) for name, texts in INNOCENT.items() for text in texts]
    made += [about_themselves(random, number) for number in range(60)]
    for _ in range(20):
        roster = _room(random)
        made += [
            Written(roster, owner, _CLINICIAN, *texts)
            for owner, texts in enumerate(_texts(random, 8))
        ]
    return made


def notes_for_clones() -> list[Written]:
    """Notes with an earlier one each, from which they were copied or not."""
    random = Random(SEED + 1)
    made = [copied(random, kind, number) for kind in CLONE_KINDS for number in range(40)]
    return made + [independent(random, number) for number in range(240)]
