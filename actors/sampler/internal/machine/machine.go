package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// Machine is where the kernel's files are.
type Machine struct{ root string }

// Here is the machine that this process runs on. The error is [errors.ErrUnsupported] anywhere but on Linux.
func Here() (Machine, error) {
	if runtime.GOOS != "linux" {
		return Machine{}, fmt.Errorf("%w on %s: what a process may use is read from the files of the Linux kernel", errors.ErrUnsupported, runtime.GOOS)
	}
	return At("/"), nil
}

// At is a machine whose files are below root.
func At(root string) Machine { return Machine{root} }

// read gives a file's text. path is as the process sees it.
func (m Machine) read(path string) (string, error) {
	text, err := os.ReadFile(filepath.Join(m.root, path))
	return string(text), err
}

// readIfAny is read, with no text for a file that is not there.
func (m Machine) readIfAny(path string) (text string, there bool, err error) {
	text, err = m.read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	return text, err == nil, err
}

// number gives the number that is all a file holds.
func (m Machine) number(path string) (n int64, there bool, err error) {
	text, there, err := m.readIfAny(path)
	if !there {
		return 0, false, err
	}
	n, err = parse(path, text)
	return n, err == nil, err
}

// field gives the number after the name that begins a line of a file, as in memory.stat and /proc/meminfo.
func (m Machine) field(path, name string) (n int64, there bool, err error) {
	text, there, err := m.readIfAny(path)
	if !there {
		return 0, false, err
	}
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); len(words) >= 2 && words[0] == name {
			n, err = parse(path, words[1])
			return n, err == nil, err
		}
	}
	return 0, false, nil
}

// parse reads a number. The kernel's largest, which mean "no limit", do not fit: they become the largest that does.
func parse(path, text string) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("%s: %q is not a number", path, strings.TrimSpace(text))
	}
	return n, nil
}
