// Package batch runs operations on resources in batches.
package batch
