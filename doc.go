// Package penstock meters work into a service: supervised flow control, on actors addressed by ID.
//
// This package is the front door: a [System] and its life. What it meters with are the rooms beside it, packages that
// each keep one kind of supervised actors, started on demand and put away when idle:
//
//   - actors/bucket: whose turn is it, at this user's rate
//   - actors/queue: how much load may enter, how fast, and who goes first; actors/queue/durable keeps items on disk
//   - actors/pool: how much may run at once, and stop it: goroutines, WebAssembly (actors/pool/wasm), child processes
//   - actors/sampler: measured load, turned into levels that queues give way to
//
// httplimit puts them in front of HTTP clients and servers, and grpclimit in front of gRPC servers. Below them, for rooms of your own: supervisor (the
// tree of actors), registry (IDs and their entries) and limit (pure regulators).
//
//	sys, err := penstock.New()
//	…
//	defer sys.Close(ctx)
//	api, err := bucket.NewFamily(sys, "api", bucket.Config{
//		Limits: []limit.Limit{{Events: 10, Per: 6 * time.Second}},
//	})
//	…
//	reply, err := bucket.Do(ctx, api.Bucket(userID), bucket.Request{}, call)
package penstock
