// htmx would insert a style element of its own, which the security policy forbids, and needs no eval here.
htmx.config.includeIndicatorStyles = false;
htmx.config.allowEval = false;
