// What the API gateway is for a hosted Supabase: one address before PostgREST and the rest.
// It takes an API key for the role that it stands for, and refuses what hosted Supabase refuses.
import http from "node:http";
import { pipeline } from "node:stream";

const { port, rest, others, tokens, publicKeys } = JSON.parse(process.env.LOCAL_GATEWAY);
const PREFIX = "/rest/v1";
const agent = new http.Agent({ keepAlive: true });

function refuse(response, status, message, hint) {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(hint ? { message, hint } : { message }));
}

function forward(request, response, target) {
  const { connection, "keep-alive": _, ...headers } = { ...request.headers, ...target.headers };
  const upstream = http.request({ agent, ...target, method: request.method, headers }, (answer) => {
    const { connection, "keep-alive": _, ...headers } = answer.headers;
    response.writeHead(answer.statusCode, answer.statusMessage, headers);
    pipeline(answer, response, () => {});
  });
  upstream.on("error", () => {
    if (response.headersSent) response.destroy();
    else refuse(response, 502, "An invalid response was received from the upstream server");
  });
  response.on("close", () => response.writableFinished || upstream.destroy());
  request.pipe(upstream);
}

function toPostgrest(request, response) {
  const url = new URL(request.url, "http://gateway");
  const key = request.headers.apikey ?? url.searchParams.get("apikey");
  if (!key) {
    const hint = "No `apikey` request header or url param was found.";
    return refuse(response, 401, "No API key found in request", hint);
  }
  if (!Object.hasOwn(tokens, key)) {
    return refuse(response, 401, "Invalid API key", "Double check your API key.");
  }
  if (url.pathname.length <= PREFIX.length + 1 && publicKeys.includes(key)) {
    const hint = "Only secret API keys can be used for this endpoint.";
    return refuse(response, 401, "Secret API key required", hint);
  }
  const { authorization } = request.headers;
  // Any other token is the client's own: PostgREST judges it.
  const own = authorization !== undefined && authorization !== `Bearer ${key}`;
  const headers = { authorization: own ? authorization : `Bearer ${tokens[key]}` };
  let path = request.url.slice(PREFIX.length);
  if (url.searchParams.has("apikey")) {
    url.searchParams.delete("apikey");  // PostgREST would take it for a filter
    path = url.pathname.slice(PREFIX.length) + url.search;
  }
  forward(request, response, { ...rest, path: path || "/", headers });
}

const server = http.createServer((request, response) => {
  if (/^\/rest\/v1(?=[/?]|$)/.test(request.url)) toPostgrest(request, response);
  else forward(request, response, { ...others, path: request.url });
});
server.keepAliveTimeout = 75_000;
server.requestTimeout = 0;
server.listen(port, "127.0.0.1");
