// Package accesslog reads web servers' access logs in the common and combined formats, as a stream: plain or gzip, of any
// length, from sources that may be damaged.
package accesslog
