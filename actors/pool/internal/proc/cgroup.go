package proc

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Cgroup is a cgroup (version 2) of one process, whose memory it caps.
type Cgroup struct {
	path string
	dir  *os.File
}

// CheckCgroup reports why groups cannot be made under the directory: it must be a cgroup of version 2 that is delegated to
// this user, with the memory controller for those below it.
func CheckCgroup(parent string) error {
	controllers, err := os.ReadFile(filepath.Join(parent, "cgroup.controllers"))
	if err != nil {
		return fmt.Errorf("%s is no cgroup of version 2: %w", parent, err)
	}
	if !slices.Contains(strings.Fields(string(controllers)), "memory") {
		return fmt.Errorf("%s has no memory controller: it has %q", parent, strings.TrimSpace(string(controllers)))
	}
	control := filepath.Join(parent, "cgroup.subtree_control")
	below, err := os.ReadFile(control)
	if err != nil {
		return err
	}
	if slices.Contains(strings.Fields(string(below)), "memory") {
		return nil
	}
	if err := os.WriteFile(control, []byte("+memory"), 0); err != nil {
		return fmt.Errorf("%s cannot give those below it the memory controller: %w", parent, err)
	}
	return nil
}

// NewCgroup makes a group for one process.
func NewCgroup(parent, name string) (*Cgroup, error) {
	g := &Cgroup{path: filepath.Join(parent, name)}
	if err := os.Mkdir(g.path, 0o755); err != nil {
		return nil, err
	}
	var err error
	if g.dir, err = os.Open(g.path); err != nil {
		return nil, errors.Join(err, os.Remove(g.path))
	}
	return g, nil
}

// Cap lets the group have at most so many bytes beyond what it has now, and no swap; over that all of it is killed.
func (g *Cgroup) Cap(bytes int64) error {
	now, err := g.number("memory.current")
	if err != nil {
		return err
	}
	for file, value := range map[string]string{
		"memory.max": strconv.FormatInt(now+bytes, 10), "memory.oom.group": "1", "memory.swap.max": "0",
	} {
		err := os.WriteFile(filepath.Join(g.path, file), []byte(value), 0)
		if err != nil && (file == "memory.max" || !errors.Is(err, os.ErrNotExist)) { // a kernel without swap has no file for it
			return err
		}
	}
	return nil
}

// OutOfMemory reports whether the kernel killed a process of the group for want of memory.
func (g *Cgroup) OutOfMemory() bool {
	f, err := os.Open(filepath.Join(g.path, "memory.events"))
	if err != nil {
		return false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if n, ok := strings.CutPrefix(lines.Text(), "oom_kill "); ok {
			return n != "0"
		}
	}
	return false
}

// Kill ends all that is in the group, also what left the process group.
func (g *Cgroup) Kill() {
	_ = os.WriteFile(filepath.Join(g.path, "cgroup.kill"), []byte("1"), 0) // kernels before 5.14 have none: the signal does it
}

// Remove takes the group away, once nothing is in it.
func (g *Cgroup) Remove() error { return errors.Join(g.dir.Close(), os.Remove(g.path)) }

func (g *Cgroup) number(file string) (int64, error) {
	text, err := os.ReadFile(filepath.Join(g.path, file))
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
}
