// Package messages holds the only words that nodes say to each other, as protocol buffers.
//
// They are written so that two versions can run side by side: see cluster.proto.
package messages

//go:generate go run -C ../internal/tools ./protogen -dir ../../messages batch.proto bucket.proto cluster.proto lending.proto pool.proto queue.proto sampler.proto stat.proto
