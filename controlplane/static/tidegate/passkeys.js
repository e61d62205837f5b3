// Asks the browser for a passkey before a form is sent. <form data-passkey="create|get" data-question="ADDRESS">; with `get` only the
// button named by data-passkey-for is held up. Where it fails, the form's [data-passkey-problem] says why, and nothing is sent.
const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (character) => character.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

const asked = (options) => {
  options.challenge = bytes(options.challenge);
  if (options.user) options.user.id = bytes(options.user.id);
  for (const list of [options.allowCredentials, options.excludeCredentials])
    for (const item of list ?? []) item.id = bytes(item.id);
  return options;
};

const answered = (credential) => {
  const response = { clientDataJSON: text(credential.response.clientDataJSON) };
  for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"])
    if (credential.response[name]) response[name] = text(credential.response[name]);
  return JSON.stringify({ id: credential.id, rawId: text(credential.rawId), type: credential.type, response, clientExtensionResults: {} });
};

const REASONS = {
  NotAllowedError: "No passkey was given: it was cancelled, or took too long. Try again.",
  InvalidStateError: "This device has a passkey for you here already.",
  SecurityError: "Passkeys do not work at this address. Use the address in your e-mails.",
};

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const problem = form.querySelector("[data-passkey-problem]");
  form.addEventListener("submit", async (event) => {
    const button = event.submitter;
    if (form.dataset.passkeyFor && button?.value !== form.dataset.passkeyFor) return;
    event.preventDefault();
    problem.hidden = true;
    button.disabled = true;
    try {
      if (!window.PublicKeyCredential) throw new Error("This browser knows no passkeys.");
      const headers = { "X-CSRFToken": form.elements.csrfmiddlewaretoken.value };
      const question = await fetch(form.dataset.question, { method: "POST", headers, redirect: "error" });
      if (!question.ok) throw new Error("The server did not ask for a passkey. Load the page again.");
      const publicKey = asked(await question.json());
      const credential = await navigator.credentials[form.dataset.passkey]({ publicKey });
      form.elements.passkey.value = answered(credential);
      if (button.name) form.append(Object.assign(document.createElement("input"), { type: "hidden", name: button.name, value: button.value }));
      form.submit();
    } catch (error) {
      problem.textContent = REASONS[error.name] ?? error.message;
      problem.hidden = false;
      button.disabled = false;
    }
  });
}
