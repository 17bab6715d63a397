"""What the server tells people in letters, in their language (preferredLanguage, RFC 2798 2.7)."""

from __future__ import annotations

from typing import Final

from imsd.store.quotas import Bounds

_OVER_QUOTA: Final = {
    "en": (
        "Your mailbox is too large",
        "Your mailbox holds {used} KB.\n",
        "You are warned from {warn} KB on.\n",
        "From {send} KB on you cannot send messages.\n",
        "It holds {most} KB at most; then you can neither send nor receive messages.\n",
        (
            "",
            "",
            "You cannot send messages now.\n",
            "It is full: messages for you are returned to their senders.\n",
        ),
        "Please delete messages that you do not need any more, those with large attachments first, and "
        "empty the folders for deleted items, junk and sent mail. Your administrator can raise the limit.\n",
    ),
    "de": (
        "Ihr Postfach ist zu groß",
        "Ihr Postfach enthält {used} KB.\n",
        "Ab {warn} KB werden Sie gewarnt.\n",
        "Ab {send} KB können Sie keine Nachrichten mehr senden.\n",
        "Es fasst höchstens {most} KB; dann können Sie weder senden noch empfangen.\n",
        (
            "",
            "",
            "Sie können jetzt keine Nachrichten senden.\n",
            "Es ist voll: Nachrichten an Sie gehen an ihre Absender zurück.\n",
        ),
        "Bitte löschen Sie nicht mehr benötigte Nachrichten, zuerst solche mit großen Anhängen, und leeren "
        "Sie die Ordner für gelöschte, unerwünschte und gesendete Nachrichten. Ihr Administrator kann die "
        "Grenze anheben.\n",
    ),
    "fr": (
        "Votre boîte aux lettres est trop volumineuse",
        "Votre boîte aux lettres contient {used} Ko.\n",
        "Vous êtes averti à partir de {warn} Ko.\n",
        "À partir de {send} Ko, vous ne pouvez plus envoyer de messages.\n",
        "Elle contient au plus {most} Ko ; vous ne pouvez alors ni envoyer ni recevoir de messages.\n",
        (
            "",
            "",
            "Vous ne pouvez plus envoyer de messages.\n",
            "Elle est pleine : les messages qui vous sont adressés sont renvoyés à leurs expéditeurs.\n",
        ),
        "Supprimez les messages dont vous n'avez plus besoin, d'abord ceux qui ont de grandes pièces "
        "jointes, et videz les dossiers des éléments supprimés, indésirables et envoyés. Votre "
        "administrateur peut relever la limite.\n",
    ),
    "es": (
        "Su buzón es demasiado grande",
        "Su buzón contiene {used} KB.\n",
        "Se le avisa a partir de {warn} KB.\n",
        "A partir de {send} KB no puede enviar mensajes.\n",
        "Contiene como máximo {most} KB; entonces no puede enviar ni recibir mensajes.\n",
        (
            "",
            "",
            "Ahora no puede enviar mensajes.\n",
            "Está lleno: los mensajes dirigidos a usted se devuelven a sus remitentes.\n",
        ),
        "Elimine los mensajes que ya no necesite, primero los que tienen archivos adjuntos grandes, y vacíe "
        "las carpetas de elementos eliminados, correo no deseado y enviados. Su administrador puede "
        "aumentar el límite.\n",
    ),
}

LANGUAGES: Final = tuple(_OVER_QUOTA)


def language_of(wanted: str) -> str:
    """The language of ours that fits best: `de-AT, en;q=0.5` is German; English where none does."""
    for each in wanted.lower().split(","):
        found = each.partition(";")[0].strip().replace("_", "-").partition("-")[0]
        if found in _OVER_QUOTA:
            return found
    return "en"


def over_quota(language: str, level: int, used: int, bounds: Bounds) -> tuple[str, str]:
    """Subject and text of the warning to the owner of a mailbox. level: 1 to 3; sizes in octets."""
    subject, holds, warn, send, most, state, do = _OVER_QUOTA[language_of(language)]
    parts = [holds, state[level]]
    parts += [
        text for text, bound in ((warn, bounds.warn), (send, bounds.send), (most, bounds.most)) if bound
    ]
    values = {
        "used": -(-used // 1024),
        "warn": max(bounds.warn, 0) // 1024,
        "send": max(bounds.send, 0) // 1024,
        "most": max(bounds.most, 0) // 1024,
    }
    return subject, "".join(parts).format(**values) + "\n" + do
