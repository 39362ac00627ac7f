// The bundle is a classic script and sets a global.
globalThis.SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#api",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  filter: true,
  tryItOutEnabled: true,
  // A validator badge would ask another site.
  validatorUrl: "none",
  persistAuthorization: false,
});
