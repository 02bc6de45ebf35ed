// Package bank is what the demo's fifth act is about: wallets in a database, and two ways to move money between them. One makes a
// transaction of each transfer, the other one of as many as have come meanwhile.
package bank
