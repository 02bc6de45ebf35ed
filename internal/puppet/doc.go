// Package puppet starts this program again, as processes that play a part and are told what to do: the nodes of a cluster, where one process
// cannot show what several do.
//
//	func main() {
//		puppet.Main(map[string]func(*puppet.Strings) error{"node": node}) // does not return in a process that Start has made
//		…
//		p, err := puppet.Start("node", order)
//
// Both sides talk in lines of JSON. A puppet does not outlive its master: it ends when its standard input does, and on Linux it is killed
// with it, even while it is stopped.
package puppet
