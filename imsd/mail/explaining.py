"""What reports say to people: what happened, why, and what to do about it, in their language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from imsd.mail.reasons import Reason


@dataclass(frozen=True, slots=True)
class Words:
    """One language. reasons: a sentence and what to do about it. Others by the action's name."""

    subjects: dict[str, str]
    opening: dict[str, str]
    listing: dict[str, str]
    subject: str
    sent: str
    on: str
    said: str
    until: str
    more: str
    untold: str
    instead: str
    reasons: dict[Reason, tuple[str, str]]


ENGLISH: Final = Words(
    subjects={
        "failed": "Not delivered",
        "delayed": "Delayed",
        "delivered": "Delivered",
        "relayed": "Relayed",
        "expanded": "Delivered to a list",
    },
    opening={
        "failed": "Your message did not reach some or all of the intended recipients.",
        "delayed": "Your message has not reached some or all of the intended recipients yet. It is being "
        "tried again; you need not send it again.",
        "delivered": "Your message was delivered.",
        "relayed": "Your message was handed to a server that will not tell whether it was delivered.",
        "expanded": "Your message was delivered to a distribution list and sent on to its members. You will "
        "not be told of each of them.",
    },
    listing={
        "failed": "The following recipient(s) could not be reached:",
        "delayed": "The following recipient(s) could not be reached so far:",
        "delivered": "It was delivered to the following recipient(s):",
        "relayed": "It was handed on for the following recipient(s):",
        "expanded": "The following distribution list(s) took it:",
    },
    subject="Subject:",
    sent="Sent:",
    on="on",
    said="said:",
    until="It is tried again until {0}.",
    more="... and {0} more recipients.",
    untold="The sender of this message cannot be told, so the postmaster is.",
    instead="Senders elsewhere are told nothing here, so the administrator is.",
    reasons={
        Reason.UNKNOWN: (
            "There is nobody of this address.",
            "Check the spelling, or ask the recipient for the address by other means.",
        ),
        Reason.AMBIGUOUS: (
            "Several recipients have this address.",
            "Only the administrator of the recipient's mail system can mend that.",
        ),
        Reason.NO_PROXY: (
            "Your own address is not accepted there.",
            "Check the sender's address in your mail program, or ask your administrator.",
        ),
        Reason.HOST: (
            "The domain of this address cannot be found, or takes no mail.",
            "Check what follows the @ in the address.",
        ),
        Reason.TIMEOUT: (
            "The recipient's mail system could not be reached, or did not take the message, in time.",
            "Send the message again later. If that fails, too, ask the recipient by other means.",
        ),
        Reason.LOOP: (
            "The message went in circles between mail systems.",
            "Only an administrator can mend that; send him this report.",
        ),
        Reason.SIZE: (
            "The message is too large.",
            "Send it without large attachments, or share them in another way.",
        ),
        Reason.FULL: (
            "The recipient's mailbox, or the system it is on, is full.",
            "Send the message again when there is room; the recipient has to delete something.",
        ),
        Reason.DISABLED: (
            "The recipient's mailbox takes no messages.",
            "Ask the recipient by other means.",
        ),
        Reason.POLICY: (
            "You may not send this message to this recipient.",
            "If you think you should, ask the recipient's administrator, and show him this report.",
        ),
        Reason.STOPPED: (
            "The administrator of your mail system stopped the message before it left.",
            "Ask your administrator before you send it again.",
        ),
        Reason.PROTECTION: (
            "The message must travel under protection all the way, and the recipient's mail system does not "
            "promise that.",
            "Ask the recipient's administrator for REQUIRETLS, or send it without that protection.",
        ),
        Reason.CONTENT: (
            "The message is of a form that the recipient's mail system does not take.",
            "Send it in a simpler form, as plain text for example.",
        ),
        Reason.TOO_MANY: (
            "The message has too many recipients.",
            "Send it to fewer recipients at once.",
        ),
        Reason.UNREACHABLE: (
            "The recipient's mail system cannot be reached.",
            "If this goes on, ask the recipient by other means.",
        ),
        Reason.PROTOCOL: (
            "The recipient's mail system did not understand ours.",
            "Send this report to your administrator.",
        ),
        Reason.OTHER: (
            "The recipient's mail system did not take the message.",
            "What it said stands below; if that does not help, send this report to your administrator.",
        ),
    },
)

GERMAN: Final = Words(
    subjects={
        "failed": "Nicht zugestellt",
        "delayed": "Verzögert",
        "delivered": "Zugestellt",
        "relayed": "Weitergegeben",
        "expanded": "An eine Verteilerliste zugestellt",
    },
    opening={
        "failed": "Ihre Nachricht hat einige oder alle Empfänger nicht erreicht.",
        "delayed": "Ihre Nachricht hat einige oder alle Empfänger noch nicht erreicht. Es wird weiter "
        "versucht; Sie brauchen sie nicht noch einmal zu senden.",
        "delivered": "Ihre Nachricht wurde zugestellt.",
        "relayed": "Ihre Nachricht wurde an einen Server gegeben, der nicht meldet, ob sie zugestellt wurde.",
        "expanded": "Ihre Nachricht wurde an eine Verteilerliste zugestellt und an deren Mitglieder "
        "weitergesandt. Für einzelne Mitglieder erhalten Sie keine Meldung.",
    },
    listing={
        "failed": "Folgende Empfänger konnten nicht erreicht werden:",
        "delayed": "Folgende Empfänger konnten bisher nicht erreicht werden:",
        "delivered": "Sie wurde folgenden Empfängern zugestellt:",
        "relayed": "Sie wurde für folgende Empfänger weitergegeben:",
        "expanded": "Folgende Verteilerlisten haben sie angenommen:",
    },
    subject="Betreff:",
    sent="Gesendet:",
    on="am",
    said="meldete:",
    until="Es wird weiter versucht bis {0}.",
    more="... und {0} weitere Empfänger.",
    untold="Der Absender dieser Nachricht kann nicht benachrichtigt werden, deshalb wird es der Postmaster.",
    instead="Fremde Absender werden hier nicht benachrichtigt, deshalb wird es der Administrator.",
    reasons={
        Reason.UNKNOWN: (
            "Unter dieser Adresse gibt es niemanden.",
            "Prüfen Sie die Schreibweise, oder fragen Sie den Empfänger auf anderem Weg nach seiner Adresse.",
        ),
        Reason.AMBIGUOUS: (
            "Mehrere Empfänger haben diese Adresse.",
            "Das kann nur der Administrator des Empfängers beheben.",
        ),
        Reason.NO_PROXY: (
            "Ihre eigene Adresse wird dort nicht angenommen.",
            "Prüfen Sie die Absenderadresse in Ihrem Mailprogramm, oder fragen Sie Ihren Administrator.",
        ),
        Reason.HOST: (
            "Die Domäne dieser Adresse ist nicht zu finden oder nimmt keine Nachrichten an.",
            "Prüfen Sie, was in der Adresse hinter dem @ steht.",
        ),
        Reason.TIMEOUT: (
            "Das Mailsystem des Empfängers war nicht rechtzeitig zu erreichen oder nahm die Nachricht nicht "
            "an.",
            "Senden Sie die Nachricht später noch einmal. Schlägt auch das fehl, fragen Sie den Empfänger "
            "auf anderem Weg.",
        ),
        Reason.LOOP: (
            "Die Nachricht lief zwischen Mailsystemen im Kreis.",
            "Das kann nur ein Administrator beheben; senden Sie ihm diesen Bericht.",
        ),
        Reason.SIZE: (
            "Die Nachricht ist zu groß.",
            "Senden Sie sie ohne große Anhänge, oder stellen Sie diese anders bereit.",
        ),
        Reason.FULL: (
            "Das Postfach des Empfängers oder sein Mailsystem ist voll.",
            "Senden Sie die Nachricht erneut, wenn wieder Platz ist; der Empfänger muss etwas löschen.",
        ),
        Reason.DISABLED: (
            "Das Postfach des Empfängers nimmt keine Nachrichten an.",
            "Fragen Sie den Empfänger auf anderem Weg.",
        ),
        Reason.POLICY: (
            "Sie dürfen diese Nachricht nicht an diesen Empfänger senden.",
            "Wenn Sie es dürfen sollten, fragen Sie den Administrator des Empfängers und zeigen Sie ihm "
            "diesen Bericht.",
        ),
        Reason.STOPPED: (
            "Der Administrator Ihres Mailsystems hat die Nachricht angehalten, bevor sie abging.",
            "Fragen Sie ihn, bevor Sie sie noch einmal senden.",
        ),
        Reason.PROTECTION: (
            "Die Nachricht soll auf dem ganzen Weg geschützt sein, und das Mailsystem des Empfängers sagt "
            "das nicht zu.",
            "Bitten Sie den Administrator des Empfängers um REQUIRETLS, oder senden Sie sie ohne Schutz.",
        ),
        Reason.CONTENT: (
            "Das Mailsystem des Empfängers nimmt Nachrichten dieser Form nicht an.",
            "Senden Sie sie in einfacherer Form, zum Beispiel als reinen Text.",
        ),
        Reason.TOO_MANY: (
            "Die Nachricht hat zu viele Empfänger.",
            "Senden Sie sie an weniger Empfänger auf einmal.",
        ),
        Reason.UNREACHABLE: (
            "Das Mailsystem des Empfängers ist nicht zu erreichen.",
            "Wenn das so bleibt, fragen Sie den Empfänger auf anderem Weg.",
        ),
        Reason.PROTOCOL: (
            "Das Mailsystem des Empfängers hat unseres nicht verstanden.",
            "Senden Sie diesen Bericht an Ihren Administrator.",
        ),
        Reason.OTHER: (
            "Das Mailsystem des Empfängers nahm die Nachricht nicht an.",
            "Was es gemeldet hat, steht unten; hilft das nicht weiter, senden Sie diesen Bericht an Ihren "
            "Administrator.",
        ),
    },
)

FRENCH: Final = Words(
    subjects={
        "failed": "Non remis",
        "delayed": "Retardé",
        "delivered": "Remis",
        "relayed": "Relayé",
        "expanded": "Remis à une liste",
    },
    opening={
        "failed": "Votre message n'est pas parvenu à certains destinataires, ou à aucun d'eux.",
        "delayed": "Votre message n'est pas encore parvenu à certains destinataires, ou à aucun d'eux. De "
        "nouvelles tentatives ont lieu ; il est inutile de le renvoyer.",
        "delivered": "Votre message a été remis.",
        "relayed": "Votre message a été transmis à un serveur qui ne dira pas s'il a été remis.",
        "expanded": "Votre message a été remis à une liste de distribution et envoyé à ses membres. Vous ne "
        "recevrez pas d'avis pour chacun d'eux.",
    },
    listing={
        "failed": "Les destinataires suivants n'ont pas pu être joints :",
        "delayed": "Les destinataires suivants n'ont pas encore pu être joints :",
        "delivered": "Il a été remis aux destinataires suivants :",
        "relayed": "Il a été transmis pour les destinataires suivants :",
        "expanded": "Les listes de distribution suivantes l'ont accepté :",
    },
    subject="Objet :",
    sent="Envoyé :",
    on="le",
    said="a répondu :",
    until="De nouvelles tentatives auront lieu jusqu'au {0}.",
    more="... et {0} autres destinataires.",
    untold="L'expéditeur de ce message ne peut pas être averti ; le postmaster l'est à sa place.",
    instead="Les expéditeurs externes ne sont pas avertis ici ; l'administrateur l'est à leur place.",
    reasons={
        Reason.UNKNOWN: (
            "Personne n'a cette adresse.",
            "Vérifiez l'orthographe, ou demandez l'adresse au destinataire par un autre moyen.",
        ),
        Reason.AMBIGUOUS: (
            "Plusieurs destinataires ont cette adresse.",
            "Seul l'administrateur du destinataire peut y remédier.",
        ),
        Reason.NO_PROXY: (
            "Votre propre adresse n'y est pas acceptée.",
            "Vérifiez l'adresse d'expéditeur de votre logiciel, ou demandez à votre administrateur.",
        ),
        Reason.HOST: (
            "Le domaine de cette adresse est introuvable ou n'accepte pas de courrier.",
            "Vérifiez ce qui suit le @ dans l'adresse.",
        ),
        Reason.TIMEOUT: (
            "Le système du destinataire n'a pas pu être joint, ou n'a pas accepté le message, à temps.",
            "Renvoyez le message plus tard. En cas de nouvel échec, contactez le destinataire par un autre "
            "moyen.",
        ),
        Reason.LOOP: (
            "Le message a tourné en rond entre des systèmes de messagerie.",
            "Seul un administrateur peut y remédier ; envoyez-lui cet avis.",
        ),
        Reason.SIZE: (
            "Le message est trop volumineux.",
            "Envoyez-le sans grandes pièces jointes, ou partagez-les autrement.",
        ),
        Reason.FULL: (
            "La boîte aux lettres du destinataire, ou son système, est pleine.",
            "Renvoyez le message quand il y aura de la place ; le destinataire doit supprimer des messages.",
        ),
        Reason.DISABLED: (
            "La boîte aux lettres du destinataire n'accepte pas de messages.",
            "Contactez le destinataire par un autre moyen.",
        ),
        Reason.POLICY: (
            "Vous n'êtes pas autorisé à envoyer ce message à ce destinataire.",
            "Si vous devriez l'être, demandez à l'administrateur du destinataire et montrez-lui cet avis.",
        ),
        Reason.STOPPED: (
            "L'administrateur de votre système de messagerie a arrêté le message avant son départ.",
            "Demandez-lui avant de l'envoyer à nouveau.",
        ),
        Reason.PROTECTION: (
            "Le message doit être protégé tout au long de son chemin, et le système de messagerie du "
            "destinataire ne le promet pas.",
            "Demandez REQUIRETLS à l'administrateur du destinataire, ou envoyez-le sans cette protection.",
        ),
        Reason.CONTENT: (
            "Le système du destinataire n'accepte pas les messages de cette forme.",
            "Envoyez-le sous une forme plus simple, par exemple en texte brut.",
        ),
        Reason.TOO_MANY: (
            "Le message a trop de destinataires.",
            "Envoyez-le à moins de destinataires à la fois.",
        ),
        Reason.UNREACHABLE: (
            "Le système du destinataire ne peut pas être joint.",
            "Si cela dure, contactez le destinataire par un autre moyen.",
        ),
        Reason.PROTOCOL: (
            "Le système du destinataire n'a pas compris le nôtre.",
            "Envoyez cet avis à votre administrateur.",
        ),
        Reason.OTHER: (
            "Le système du destinataire n'a pas accepté le message.",
            "Sa réponse figure ci-dessous ; si elle ne suffit pas, envoyez cet avis à votre administrateur.",
        ),
    },
)

WORDS: Final = {"en": ENGLISH, "de": GERMAN, "fr": FRENCH}


def words_for(wanted: str) -> Words:
    """The words of the language that fits best: `de-AT, en;q=0.5` is German; English where none does."""
    for each in wanted.lower().split(","):
        found = WORDS.get(each.partition(";")[0].strip().replace("_", "-").partition("-")[0])
        if found is not None:
            return found
    return ENGLISH
