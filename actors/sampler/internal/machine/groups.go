package machine

import (
	"path"
	"slices"
	"strings"
)

// hierarchy is where a controller's groups are: this process's own, and those above it as far as they can be seen.
type hierarchy struct {
	version int    // of cgroups; 0 if there is no such controller
	mount   string // the topmost group that can be seen
	top     string // what the kernel calls that group
	own     string // what the kernel calls the process's own
}

// mounting is a line of mountinfo about groups.
type mounting struct {
	version     int
	root, point string
	controllers []string // of version 1
}

// hierarchyOf finds a controller's groups: in version 1 if it is mounted there, otherwise in version 2.
func (m Machine) hierarchyOf(controller string) (hierarchy, error) {
	groups, there, err := m.readIfAny("/proc/self/cgroup")
	if !there {
		return hierarchy{}, err
	}
	mounts, err := m.mountings()
	if err != nil {
		return hierarchy{}, err
	}
	unified := hierarchy{}
	for line := range strings.Lines(groups) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3) // number, controllers, path
		if len(parts) != 3 {
			continue
		}
		number, controllers, own := parts[0], strings.Split(parts[1], ","), parts[2]
		for _, at := range mounts {
			h := hierarchy{version: at.version, mount: at.point, top: at.root, own: own}
			switch {
			case at.version == 1 && slices.Contains(controllers, controller) && slices.Contains(at.controllers, controller):
				return h, nil
			case at.version == 2 && number == "0" && parts[1] == "" && unified.version == 0:
				unified = h
			}
		}
	}
	return unified, nil
}

// mountings are where groups are mounted.
func (m Machine) mountings() (list []mounting, err error) {
	text, _, err := m.readIfAny("/proc/self/mountinfo")
	for line := range strings.Lines(text) {
		before, after, ok := strings.Cut(line, " - ")
		words, kind := strings.Fields(before), strings.Fields(after)
		if !ok || len(words) < 5 || len(kind) < 3 {
			continue
		}
		at := mounting{root: unescape(words[3]), point: unescape(words[4])}
		switch kind[0] {
		case "cgroup":
			at.version, at.controllers = 1, strings.Split(kind[2], ",")
		case "cgroup2":
			at.version = 2
		default:
			continue
		}
		list = append(list, at)
	}
	return list, err
}

// unescape undoes what the kernel does to a path in mountinfo.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace

// groups are the directories of the process's own group and of those above it, the own first.
func (h hierarchy) groups() (list []string) {
	if h.version == 0 {
		return nil
	}
	for rel := h.relative(); ; rel = path.Dir(rel) {
		list = append(list, path.Join(h.mount, rel))
		if rel == "/" {
			return list
		}
	}
}

// relative is the own group as seen from the mount. It is the mount itself if the own group lies elsewhere, as it does
// when a container sees only its group but is told its name outside.
func (h hierarchy) relative() string {
	own := path.Clean("/" + h.own)
	if h.top == "/" {
		return own
	}
	if rel, ok := strings.CutPrefix(own, h.top); ok && (rel == "" || rel[0] == '/') {
		return path.Join("/", rel)
	}
	return "/"
}

// same reports whether both hierarchies have the same groups under the same names.
func (h hierarchy) same(other hierarchy) bool {
	return h.version == other.version && h.own == other.own && h.top == other.top
}
