"""What other systems call the state of a subscription, in our words. Words of Mailchimp, listmonk, HubSpot, Mautic, MailerLite and
plain yes and no, in four languages. A word we do not know is no consent.
"""

from enum import StrEnum

from preference_center.contacts.cells import folded


class Status(StrEnum):
    given = "given"
    requested = "requested"  # asked for and not confirmed
    withdrawn = "withdrawn"
    none = "none"  # plainly says that nothing was agreed
    bounced = "bounced"
    complained = "complained"
    blocked = "blocked"
    invalid = "invalid"


# what speaks against mail
NOES = frozenset({Status.withdrawn, Status.complained, Status.blocked, Status.bounced, Status.invalid})
_WORDS = {
    Status.given: "subscribed|confirmed|active|yes|y|true|1|on|opt in|optin|opted in|granted|accepted|agreed|consented|given|"
    "double opt in|single opt in|subscriber|member|tak|prawda|zapisany|zapisana|potwierdzony|potwierdzona|aktywny|aktywna|"
    "zgoda|wyrazona|subskrybuje|subskrybent|si|verdadero|suscrito|suscrita|confirmado|confirmada|activo|activa|alta|"
    "aceptado|aceptada|acepta|sim|verdadeiro|inscrito|inscrita|assinante|ativo|ativa|aceito|aceita|aceitou",
    Status.requested: "pending|unconfirmed|not confirmed|requested|awaiting confirmation|waiting|opt in pending|"
    "double opt in pending|pending confirmation|oczekujacy|oczekujaca|oczekuje|niepotwierdzony|niepotwierdzona|pendiente|"
    "sin confirmar|no confirmado|no confirmada|por confirmar|pendente|nao confirmado|nao confirmada|aguardando|"
    "aguardando confirmacao",
    Status.withdrawn: "unsubscribed|unsubscribe|no|n|false|0|off|opt out|optout|opted out|withdrawn|revoked|removed|cancelled|canceled|"
    "left|declined|refused|dnc|do not contact|nie|falsz|wypisany|wypisana|zrezygnowal|zrezygnowala|rezygnacja|odmowa|"
    "cofnieta|wycofana|anulowany|anulowana|baja|dado de baja|dada de baja|cancelado|cancelada|no suscrito|no suscrita|"
    "revocado|rechazado|nao|falso|descadastrado|descadastrada|desinscrito|desinscrita|nao inscrito|nao inscrita|"
    "removido|removida|recusado",
    Status.none: "never|never subscribed|nonsubscribed|non subscribed|not subscribed|transactional|none|unknown|n a|na|null|no consent|"
    "no status|not set|not specified|brak|brak zgody|nieznany|ninguno|ninguna|nunca|desconocido|sin consentimiento|"
    "nenhum|nenhuma|desconhecido|sem consentimento",
    Status.bounced: "bounced|bounce|hard bounce|hard bounced|hardbounce|cleaned|undeliverable|undelivered|odbity|odbita|odbite|"
    "zwrot|rebotado|rebotada|rebote|devuelto|devuelta|devolvido|devolvida|retornado|retornada",
    Status.complained: "complained|complaint|complaints|spam|spam complaint|marked as spam|spam report|spam reported|abuse|junk|"
    "skarga|reklamacja|zgloszono spam|queja|denuncia|marcado como spam|reclamacao|denunciado|reclamou",
    Status.blocked: "blocklisted|blocklist|blacklisted|blacklist|blocked|banned|suppressed|do not email|do not mail|never email|"
    "zablokowany|zablokowana|czarna lista|bloqueado|bloqueada|lista negra",
    Status.invalid: "invalid|invalid email|invalid address|invalid email address|nonexistent|does not exist|nieprawidlowy|"
    "nieprawidlowy adres|bledny|bledny adres|invalido|invalida|direccion invalida|correo invalido|inexistente|"
    "endereco invalido|email invalido",
}
_BY_WORD = {word: status for status, words in _WORDS.items() for word in words.split("|")}


def read(text: str, *, says_no: bool = False) -> Status | None:
    """The status a text means; nothing when we do not know the word. Empty is `none`.

    `says_no`: the column's own name speaks of leaving ("Opted out of email"), so its "yes" is a no, and its "no" is silence.
    """
    if not text:
        return Status.none
    found = _BY_WORD.get(folded(text))
    if says_no and found is Status.given:
        return Status.withdrawn
    if says_no and found is Status.withdrawn and folded(text) in _PLAIN_NO:
        return Status.none
    return found


_PLAIN_NO = {"no", "n", "false", "0", "off", "nie", "falsz", "nao", "falso"}
