// Package transport carries requests between the nodes of a cluster, and their answers, over proto.actor remote.
//
// It promises little, and that firmly. A request is handled at most once, and not at all when nobody can be waiting for it any more:
// deadlines are judged by the clock of the node that handles it, which its peers know from asking for it all the time. Who asks gets
// an answer or an error: at once when too many wait, within a second or so when the peer does not answer, and right away when the
// connection breaks.
//
// What the library does by itself and what must be done about it is in decision 33.
package transport
