"""Passages in languages a model was not asked to write, for alarms to find."""

from __future__ import annotations

import re

_TEXTS = {
    "German": """
    Am frühen Morgen lag dichter Nebel über dem Fluss, und man hörte nur das Wasser
    gegen die Pfähle schlagen. Die Bäckerin hatte ihren Laden schon geöffnet, obwohl
    die Straße noch leer war. Ein alter Mann trug zwei Eimer Kohle die Treppe hinauf
    und blieb auf jedem Absatz stehen. Seine Enkelin wollte ihm helfen, doch er
    schüttelte nur den Kopf und lächelte. Später, als die Sonne durch die Wolken
    kam, setzten sie sich auf die Bank vor dem Haus. Er erzählte von der Zeit, in
    der die Schiffe noch bis zur Brücke fuhren und Getreide brachten. Niemand wusste
    genau, warum der Hafen damals geschlossen worden war. Vielleicht war das Wasser
    zu seicht geworden, vielleicht fehlte auch einfach das Geld für neue Mauern.
    """,
    "French": """
    La vieille horloge de la mairie avait encore sonné deux fois la même heure.
    Personne ne s'en étonnait plus, car le mécanisme n'avait pas été réparé depuis
    le dernier hiver. Sur la place, les marchands rangeaient leurs caisses de pommes
    et de poireaux avant la pluie. Une jeune femme cherchait son chien parmi les
    étals en l'appelant d'une voix inquiète. Le boucher lui montra la ruelle qui
    descend vers le lavoir, où l'animal avait l'habitude de dormir. Elle le
    remercia, prit son parapluie et disparut derrière l'église. Vers midi, le ciel
    devint si sombre que l'on alluma les lampes dans toutes les maisons. Les
    enfants, ravis, regardaient l'eau couler le long des vitres en comptant les
    éclairs.
    """,
    "Spanish": """
    El tren llegó con casi tres horas de retraso y nadie en la estación supo
    explicar la causa. Los viajeros bajaron despacio, cargados con maletas, mantas y
    cestas de fruta. Un muchacho vendía agua fresca junto a la puerta y gritaba el
    precio cada vez más alto. Mi tía nos esperaba bajo el único árbol que daba un
    poco de sombra. Nos contó que la cosecha había sido buena, aunque el pozo se
    estaba quedando seco. Por la tarde caminamos hasta el molino para ver si todavía
    funcionaba la rueda. Las piedras estaban cubiertas de musgo y alguien se había
    llevado las herramientas. Al volver, encontramos la cena servida y a los vecinos
    cantando en el patio.
    """,
    "Italian": """
    Ogni domenica il nonno puliva la bicicletta davanti alla porta, anche quando
    pioveva. Diceva che una catena asciutta vale più di un motore nuovo. Mia sorella
    lo guardava dalla finestra e gli portava una tazza di caffè molto zuccherato.
    Nel pomeriggio scendevamo tutti insieme verso il lago, passando per i campi di
    granoturco. L'acqua era fredda, ma nessuno voleva essere il primo a tornare a
    riva. Un pescatore ci salutava da lontano agitando il cappello di paglia. La
    sera si sentivano le rane, e le luci dell'altra sponda tremavano come candele.
    Prima di dormire chiudevamo le imposte, perché il vento entrava da ogni fessura.
    """,
    "Dutch": """
    De molen stond al jaren stil, maar de kinderen uit het dorp speelden er nog elke
    woensdag. Binnen rook het naar stof en oud hout, en door een gat in het dak zag
    je de wolken voorbijgaan. Mijn broer beweerde dat er vroeger een schat onder de
    vloer verborgen lag. Wij geloofden hem niet, toch hebben we een hele middag met
    een schep gegraven. We vonden alleen een verroeste sleutel en een stuk van een
    blauw bord. Toen het donker werd, riep de boerin dat we moesten ophouden en naar
    huis moesten gaan. Zij gaf ons brood met kaas en vroeg wat we met die sleutel
    wilden doen. Hij hangt nog altijd naast de deur, ook al past hij op geen enkel
    slot.
    """,
}

PASSAGES = {
    name: tuple(re.split(r"(?<=\.) ", " ".join(text.split())))
    for name, text in _TEXTS.items()
}
"""The sentences of each language."""
