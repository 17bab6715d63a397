// What tests ask of Thunderbird's own interfaces; every script of theirs begins with this.
// Scripts start things and look at what there is; they do not wait: the test asks again.
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");

const server = (user, type) => MailServices.accounts.findServer(user, "localhost", type);
const folders = (user, type = "imap") => [...server(user, type).rootFolder.descendants];
const folder = (user, name, type = "imap") => folders(user, type).find(one => one.name == name);
const all = where => (where ? [...where.msgDatabase.enumerateMessages()] : []);
const one = (where, subject) => all(where).find(message => message.mime2DecodedSubject == subject);

const FLAGS = Ci.nsMsgMessageFlags;
const facts = message => ({
  subject: message.mime2DecodedSubject,
  from: message.mime2DecodedAuthor,
  keywords: message.getStringProperty("keywords").split(" ").filter(Boolean).sort(),
  read: message.isRead,
  flagged: message.isFlagged,
  answered: Boolean(message.flags & FLAGS.Replied),
});

const trust = (text, ports) => {
  const certificates = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
  const certificate = certificates.constructX509FromBase64(text);
  const exceptions = Cc["@mozilla.org/security/certoverride;1"].getService(Ci.nsICertOverrideService);
  for (const port of ports) {
    exceptions.rememberValidityOverride("localhost", port, {}, certificate, false);
  }
};

// TLS: 3 from the first octet, 2 by STARTTLS.
const account = (user, password, type, port, tls, smtpPort, smtpTls) => {
  const incoming = MailServices.accounts.createIncomingServer(user, "localhost", type);
  Object.assign(incoming, { port, socketType: tls, password, authMethod: Ci.nsMsgAuthMethod.passwordCleartext });
  const outgoing = MailServices.outgoingServer.createServer("smtp").QueryInterface(Ci.nsISmtpServer);
  Object.assign(outgoing, { hostname: "localhost", port: smtpPort, socketType: smtpTls, username: user });
  Object.assign(outgoing, { password, authMethod: Ci.nsMsgAuthMethod.passwordCleartext });
  const identity = MailServices.accounts.createIdentity();
  Object.assign(identity, { email: user, fullName: "A Tester", smtpServerKey: outgoing.key });
  const made = MailServices.accounts.createAccount();
  made.addIdentity(identity);
  made.incomingServer = incoming;
  incoming.valid = true;
  incoming.performBiff(null);
};

const update = where => where.updateFolder(null);

const send = (user, to, subject, html, attachment) => {
  const { MessageSend } = ChromeUtils.importESModule("resource:///modules/MessageSend.sys.mjs");
  const own = MailServices.accounts.findAccountForServer(server(user, "imap"));
  const identity = own.defaultIdentity;
  const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
  Object.assign(fields, { from: user, to, subject, fcc: folder(user, "Sent").URI });
  const part = Cc["@mozilla.org/messengercompose/attachment;1"].createInstance(Ci.nsIMsgAttachment);
  Object.assign(part, { url: `data:text/plain;charset=utf-8,${encodeURIComponent(attachment)}`, name: "prüfung.txt" });
  fields.addAttachment(part);
  const now = Ci.nsIMsgCompDeliverMode.Now;
  new MessageSend().createAndSendMessage(
    null, identity, own.key, fields, false, false, now, null, "text/html", html, null, null, null, null, "", 0);
};

// The text of a message, through the part of Thunderbird that shows it.
const text = async (where, message) => {
  const uri = where.getUriForMsg(message);
  let read = "";
  await new Promise((done, failed) => {
    const listener = {
      QueryInterface: ChromeUtils.generateQI(["nsIStreamListener"]),
      onStartRequest() {},
      onStopRequest(_, status) { status ? failed(new Error(status.toString(16))) : done(); },
      onDataAvailable(_, stream, __, count) {
        const octets = Cc["@mozilla.org/binaryinputstream;1"].createInstance(Ci.nsIBinaryInputStream);
        octets.setInputStream(stream);
        read += octets.readBytes(count);
      },
    };
    MailServices.messageServiceFromURI(uri).streamMessage(uri, listener, null, null, false, "", false);
  });
  return read;
};

const copy = (from, messages, to, move) =>
  MailServices.copy.copyMessages(from, messages, to, move, null, null, false);

// Asks the server to search; the subjects that it found.
const search = (where, words) => new Promise(done => {
  const session = Cc["@mozilla.org/messenger/searchSession;1"].createInstance(Ci.nsIMsgSearchSession);
  const term = session.createTerm();
  const value = term.value;
  Object.assign(value, { attrib: Ci.nsMsgSearchAttrib.Body, str: words });
  Object.assign(term, { value, attrib: Ci.nsMsgSearchAttrib.Body, op: Ci.nsMsgSearchOp.Contains, booleanAnd: true });
  session.appendTerm(term);
  session.addScopeTerm(Ci.nsMsgSearchScope.onlineMail, where);
  const found = [];
  session.registerListener({
    QueryInterface: ChromeUtils.generateQI(["nsIMsgSearchNotify"]),
    onSearchHit(message) { found.push(message.mime2DecodedSubject); },
    onSearchDone() { done(found); },
    onNewSearch() {},
  });
  session.search(null);
});
