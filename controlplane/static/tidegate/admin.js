// htmx would insert a style element of its own, which the security policy forbids, and needs no eval here.
htmx.config.includeIndicatorStyles = false;
htmx.config.allowEval = false;
// Alpine writes style attributes, which the policy forbids; the same through the object model is allowed.
const setAttribute = Element.prototype.setAttribute;
Element.prototype.setAttribute = function (name, value) {
  if (name === "style") this.style.cssText = value;
  else setAttribute.call(this, name, value);
};
