// Package fleet runs nodes of a cluster, each a process of its own with callers of an API that has a limit for each ID. The API is the master's:
// whoever starts the nodes serves it, and judges by what arrives there.
package fleet
