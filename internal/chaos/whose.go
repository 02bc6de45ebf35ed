//go:build linux

package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// whose node it is that has dialled a connection: the kernel's table of sockets names each one's inode, and the process has it open. Empty
// if it is nobody's.
func (n *network) whose(c net.Conn) string {
	inode := inodeOf(c.RemoteAddr().(*net.TCPAddr))
	if inode == "" {
		return ""
	}
	n.mu.Lock()
	pids := maps.Clone(n.pids)
	n.mu.Unlock()
	for pid, name := range pids {
		files, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/fd/*") // fails only for a bad pattern
		for _, file := range files {
			if target, err := os.Readlink(file); err == nil && target == "socket:["+inode+"]" {
				return name
			}
		}
	}
	return ""
}

// inodeOf is that of the socket with a local address.
func inodeOf(local *net.TCPAddr) string {
	f, err := os.Open("/proc/net/tcp")
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	want := fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(local.IP.To4()), local.Port)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) > 9 && fields[1] == want {
			return fields[9]
		}
	}
	return ""
}
