"""What English homes call their rooms and things: the words from which names are put together.

Names end in a noun that tells what they are (a sconce, a blind, a routine), as people name things; what stands before
it is drawn from words and from made-up ones, so that no list of names can be learned by heart. No noun here is a word
that the templates use for a whole kind ("light", "lamp", "fan"): "the hall lamp" would otherwise have two meanings.
"""

from __future__ import annotations

__all__ = ["AREAS", "FLOORS", "MODIFIERS", "NOUNS", "PHRASES", "ROOMS"]


def _split(names: str) -> tuple[str, ...]:
    return tuple(names.split("|"))


AREAS = _split(
    "kitchen|living room|bedroom|bathroom|office|garage|hallway|dining room|basement|attic|laundry room|guest room|"
    "nursery|playroom|study|den|library|pantry|balcony|patio|porch|garden|backyard|driveway|workshop|master bedroom|"
    "kids room|guest bathroom|entryway|closet|gym|sunroom|mudroom|media room|game room|utility room|conservatory|"
    "terrace|shed|lounge|foyer|family room|home office|front yard|boiler room|wine cellar|dressing room|staircase"
)

ROOMS = _split(
    "room|bedroom|bathroom|office|studio|den|suite|corner|chamber|lounge|hall|corridor|nook|workshop|garden|closet"
)

FLOORS = _split("ground|first|second|third|fourth|upper|lower|top|main|upstairs|downstairs|middle")

MODIFIERS = _split(
    "red|blue|green|old|new|big|small|tall|round|left|right|front|back|corner|ceiling|wall|desk|window|bedside|"
    "reading|smart|antique|wooden|glass|silver|golden|copper|marble|velvet|crystal|bamboo|paper|iron|steel|stone|"
    "brick|maple|oak|pine|cedar|walnut|cherry|lemon|olive|amber|coral|ivory|scarlet|indigo|violet|crimson|emerald|"
    "sapphire|ruby|pearl|jade|onyx|winter|summer|autumn|spring|sunset|sunrise|midnight|morning|evening|holiday|party|"
    "movie|relax|focus|dinner|breakfast|bedtime|anna's|tom's|emma's|jack's|grandma's|dad's|mom's|baby's|sophie's|"
    "oliver's|mia's|leo's|lucas'|nora's|max's|ella's|sam's|north|south|east|west|inner|outer|upper shelf|lower shelf|"
    "double|single|mini|main|spare|secondary|backup|portable|outdoor|indoor|night|day|island|counter|sofa|couch|"
    "piano|aquarium|fireplace|mirror|cabinet|shelf|stairs|fish|dog|cat|ocean|river|forest|mountain|desert|lava|moon|"
    "star|comet|galaxy|rocket|robot|dragon|tiger|panda|falcon|otter|badger"
)

NOUNS = {
    "light": "spotlight|sconce|chandelier|lantern|pendant|led strip|bulb|downlight|candle|torchiere|floodlight|uplight",
    "switch": "plug|outlet|socket|switch|relay|coffee maker|kettle|toaster|dishwasher|washer|dryer|pump|charger|heater",
    "fan": "ventilator|blower|air circulator|extractor|breeze|windmaker",
    "cover": "blinds|curtain|shade|shutter|awning|gate|roller|drapes|skylight",
    "lock": "deadbolt|lock|latch|padlock|smartlock",
    "climate": "thermostat|air conditioner|radiator|heat pump|hvac|boiler",
    "media_player": "tv|television|speaker|soundbar|stereo|radio|receiver|projector|homepod|sonos",
    "vacuum": "vacuum|roomba|robot cleaner|hoover|dustbot",
    "lawn_mower": "mower|lawn robot|grass cutter|robomow",
    "scene": "scene|mood|ambience|vibe|atmosphere",
    "script": "routine|script|sequence|procedure|macro",
    "valve": "valve|sprinkler|faucet|irrigation|tap",
    "binary_sensor": "detector|contact|motion sensor|occupancy|door sensor|alarm zone",
    "sensor": "sensor|meter|gauge|monitor|probe",
    "button": "button|doorbell|trigger|pusher",
    "input_boolean": "toggle|helper|flag|option",
    "todo": "chores|groceries|errands|tasks|wishlist|projects",
    "weather": "station|airport|village|beach|valley|city",
    "person": "",
}

PHRASES = {
    "person": (
        "alice|bob|carol|david|emma|frank|grace|henry|isla|james|karen|liam|maria|noah|olivia|peter|quinn|rachel|"
        "steve|tina|victor|wendy|xavier|yara|zoe|mom|dad|grandma|grandpa|anna|tom|jack|sophie|lucas|nora|max|ella|"
        "sam"
    ),
    "zone": "home|work|school|the gym|the office|the park|the store|daycare|university|church|the airport|the beach",
    "timer_name": (
        "pizza|pasta|egg|tea|coffee|laundry|bread|cake|cookie|rice|nap|workout|homework|shower|chicken|potato|soup|"
        "meditation|reading|steak|roast|oven|study|walk|garden|yoga|noodle|dough|turkey|sauce"
    ),
    "shopping_list_item": (
        "milk|eggs|bread|butter|cheese|apples|bananas|coffee|tea|sugar|flour|rice|pasta|tomatoes|onions|garlic|"
        "carrots|chicken|salmon|yogurt|orange juice|paper towels|dish soap|toothpaste|shampoo|batteries|dog food|"
        "cat litter|olive oil|peanut butter|ice cream|frozen peas|toilet paper|trash bags|cereal|honey|salt|pepper|"
        "lettuce|cucumbers"
    ),
    "todo_list_item": (
        "call the dentist|water the plants|pay the bills|clean the gutters|walk the dog|buy stamps|wash the car|"
        "book a flight|mow the lawn|fix the fence|return the parcel|renew the passport|change the filter|"
        "send the invoice|feed the fish|vacuum the stairs|write a letter|pick up the kids|take out the trash|"
        "bake a cake"
    ),
    "message": (
        "dinner is ready|time for bed|the movie is starting|we are leaving soon|lunch is served|the taxi is here|"
        "please come down|someone is at the door|i am home|the laundry is done|wake up everyone|the game is on|"
        "breakfast is ready|clean your rooms"
    ),
    "search_query": (
        "bohemian rhapsody|jazz classics|the beatles|taylor swift|abbey road|relaxing piano|morning news|star wars|"
        "thriller|miles davis|workout mix|the daily|frozen|queen|hotel california|lofi beats|daft punk|coldplay|"
        "mozart|toy story|radiohead|classical hits|summer vibes|kind of blue|the lion king|norah jones|"
        "imagine dragons|smooth jazz|party anthems"
    ),
    "timer_command": (
        "open the garage door|close the curtains|lock the front door|turn off the heater|stop the music|"
        "start the dishwasher|turn on the tv|open the gate|switch off the radio|play some jazz|turn on the sprinkler|"
        "close the blinds"
    ),
}
