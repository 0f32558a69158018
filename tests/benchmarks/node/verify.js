// What tests/benchmarks/javascript.py measures in Node. Lines of JSON come in, and each is answered with one: first the
// tokens, keys and certificates, then {"case": ..., "calls": ...}, answered with {"seconds": ...}.
//
// Seconds are CPU time of the whole process: jose verifies on the threads of the pool, and the clock of one thread
// would not see that.

import { createPublicKey, hash, timingSafeEqual } from "node:crypto";
import { createInterface } from "node:readline";

import { createVerifier } from "fast-jwt";
import { importJWK, jwtVerify } from "jose";

const BATCH = 200; // as in measure.py

// RFC 8705 §3, as a service would write it.
function requireBinding(claims, der) {
  const thumbprint = hash("sha256", der, "base64url");
  if (!timingSafeEqual(Buffer.from(claims.cnf["x5t#S256"]), Buffer.from(thumbprint))) {
    throw new Error("another certificate");
  }
  return claims;
}

async function casesOf({ algorithm, issuer, audience, jwk, der, tokens, cached }) {
  const key = await importJWK(jwk, algorithm);
  const options = { issuer, audience, algorithms: [algorithm] };
  const pem = createPublicKey({ key: jwk, format: "jwk" }).export({ type: "spki", format: "pem" });
  const policy = { key: pem, algorithms: [algorithm], allowedIss: issuer, allowedAud: audience };
  const [uncached, remembering] = [createVerifier(policy), createVerifier({ ...policy, cache: tokens.length })];
  const bytes = tokens.map((token) => Buffer.from(token));
  const seen = bytes.slice(0, cached);
  const certificate = Buffer.from(der, "base64");

  const jose = async (token, der) => requireBinding((await jwtVerify(token, key, options)).payload, der);
  const fast = (token, der) => requireBinding(uncached(token), der);
  const fastCached = (token, der) => requireBinding(remembering(token), der);
  return {
    [`jose ${algorithm}`]: { verify: jose, tokens: bytes, certificate, concurrent: true },
    [`fast-jwt ${algorithm}`]: { verify: fast, tokens: bytes, certificate },
    [`fast-jwt cached ${algorithm}`]: { verify: fastCached, tokens: seen, certificate },
  };
}

// Accepts its tokens (which fills the caches, and has the code compiled), and refuses them with another certificate.
async function check({ verify, tokens, certificate }) {
  for (const token of tokens) await verify(token.latin1Slice(), certificate);
  const refused = async () => verify(tokens[0].latin1Slice(), Buffer.from("another"));
  if (await refused().then(() => true, (error) => error.message !== "another certificate")) {
    throw new Error("a stolen token was not refused");
  }
}

async function run(one, calls) {
  let spent = 0;
  while (calls > 0) {
    // Each time a new string, as if just received.
    const batch = Array.from({ length: Math.min(calls, BATCH) }, () => {
      one.next = ((one.next ?? -1) + 1) % one.tokens.length;
      return one.tokens[one.next].latin1Slice();
    });
    calls -= batch.length;
    const { verify, certificate } = one;
    const started = process.cpuUsage();
    if (one.concurrent) {
      // All in flight, as in a busy server: to wait for each would measure how threads are woken.
      await Promise.all(batch.map((token) => verify(token, certificate)));
    } else {
      for (const token of batch) verify(token, certificate);
    }
    const { user, system } = process.cpuUsage(started);
    spent += (user + system) / 1e6;
  }
  return spent;
}

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const answer = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

const cases = {};
for (const workload of JSON.parse((await lines.next()).value)) Object.assign(cases, await casesOf(workload));
for (const one of Object.values(cases)) await check(one);
answer({ versions: { Node: process.versions.node }, cases: Object.keys(cases) });
for await (const line of lines) {
  const { case: name, calls } = JSON.parse(line);
  answer({ seconds: await run(cases[name], calls) });
}
