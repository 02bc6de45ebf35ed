// Package strict is an API that counts its callers' requests exactly and forgives nothing: the judge of the demo.
//
// It shares no code with the library it judges. What it admits it decides from a plain list of the times it admitted, and it
// records every arrival, so that what a client really did can be read from the server's side.
package strict
