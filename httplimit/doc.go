// Package httplimit puts the buckets of package bucket between a program and HTTP, on either side, and the queues of
// package queue in front of a server.
//
// [Transport] is for clients of rate-limited APIs: an [net/http.RoundTripper] over any other, whose requests wait for
// their turn, the more urgent first, within their contexts. It learns from answers:
//
//   - 429 and 503 with Retry-After (and 403, as GitHub has it), in seconds or as a date;
//   - RateLimit and RateLimit-Policy of draft-ietf-httpapi-ratelimit-headers, the current form and the older ones;
//   - X-RateLimit-Remaining and -Reset and their kin, in the spellings of GitHub, Twitter, Reddit, Discord, OpenAI, Anthropic.
//
// When they say that nothing is left, the bucket (or the family, on demand) is throttled until there is. Moments are
// compared with the server's own Date, so clocks may differ. What cannot be understood, is negative, or asks
// for longer than MaxThrottle is ignored; a 429 that says nothing usable leads to a back-off of 1, 2, 4 … seconds.
// Whatever a server sends, it cannot make a client panic, hang, or allocate without bound.
//
// A server counts arrivals where we count departures, so a Transport keeps some slack between its windows and the
// server's, and widens it when it is refused although its window had room.
//
// [Middleware] is for servers: it limits callers by key, by default their IP address, and answers those who have no
// room with 429, Retry-After, the RateLimit fields and a problem (RFC 9457).
//
// [Shed] is for servers too: where Middleware asks whether this caller has come too often, Shed asks how much the server
// can do. It runs handlers through a queue, so that a server which gets more than it can do does as much as it can, the
// urgent first, and answers the others with 503 while that still helps them. With both, Middleware goes outside.
package httplimit
