"""The tab: what TensorBoard serves to the browser, as it is; no build step."""
