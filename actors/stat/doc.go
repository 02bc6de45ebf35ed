// Package stat counts in memory and writes later.
package stat
