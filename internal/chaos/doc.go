// Command chaos has several nodes share the limits of an API, as processes under load, and does to them what happens to processes: kills them,
// stops them, cuts their connections, takes their store away. The API is the judge: it keeps its own record, and knows nothing of nodes.
//
//	go run ./internal/chaos [-rounds 30] [-seed 1] [-lease 1s] …
//
// The exit code is 1 if a limit was exceeded, an ID not served again within two leases and a window, or a call lost without an error. A seed
// draws the same faults. It needs Linux: whose connection it is that comes in through a proxy is read from /proc.
package main
