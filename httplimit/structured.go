package httplimit

import "strings"

// Bounds on what is read of one structured field. Real ones have a handful of members with a handful of
// parameters; a server that sends more must not make us allocate in proportion.
const (
	maxFieldLen = 4096
	maxMembers  = 16
	maxParams   = 16
)

// member is one member of a structured field (RFC 9651): of a list, `"default";r=50;t=30`, or of a dictionary,
// `remaining=50`.
type member struct {
	name   string
	value  string // of a dictionary's member, else empty
	params []param
}

// param is a parameter of a [member]; value is empty when it has none.
type param struct{ key, value string }

// param is the value of the last parameter called key, as RFC 9651 wants it.
func (m member) param(key string) (value string, ok bool) {
	for _, p := range m.params {
		if p.key == key {
			value, ok = p.value, true
		}
	}
	return value, ok
}

// parseMembers reads the lines of a structured field as a list or dictionary whose members are bare items with
// parameters: the part of RFC 9651 that the RateLimit fields use, and no inner lists. Bare items stay text, strings without
// their quotes. A field that is malformed anywhere, or over the bounds, is refused as a whole.
func parseMembers(lines []string) ([]member, bool) {
	size := 0
	for _, line := range lines {
		size += len(line) + 1
	}
	if size > maxFieldLen {
		return nil, false
	}
	s := scanner{rest: strings.Join(lines, ",")}
	var members []member
	for {
		s.space()
		m, ok := s.member()
		if !ok || len(members) == maxMembers {
			return nil, false
		}
		members = append(members, m)
		s.space()
		if s.rest == "" {
			return members, true
		}
		if !s.skip(',') {
			return nil, false
		}
	}
}

// scanner reads a structured field from the left.
type scanner struct{ rest string }

// space skips optional white space.
func (s *scanner) space() { s.rest = strings.TrimLeft(s.rest, " \t") }

// skip steps over c if it comes next.
func (s *scanner) skip(c byte) bool {
	if s.rest == "" || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// member reads a bare item, the value if it is a dictionary's key, and the parameters.
func (s *scanner) member() (m member, ok bool) {
	if m.name, ok = s.item(" \t;,="); !ok {
		return m, false
	}
	if s.skip('=') {
		if m.value, ok = s.item(" \t;,"); !ok {
			return m, false
		}
	}
	for s.space(); s.skip(';'); s.space() {
		s.space()
		var p param
		if p.key, ok = s.item(" \t;,="); !ok || len(m.params) == maxParams {
			return m, false
		}
		if s.skip('=') {
			if p.value, ok = s.item(" \t;,"); !ok {
				return m, false
			}
		}
		m.params = append(m.params, p)
	}
	return m, true
}

// item reads a string in quotes, or the text up to any byte of ends: a number, token, byte sequence, boolean.
func (s *scanner) item(ends string) (string, bool) {
	if s.skip('"') {
		return s.quoted()
	}
	n := strings.IndexAny(s.rest, ends)
	if n < 0 {
		n = len(s.rest)
	}
	text := s.rest[:n]
	s.rest = s.rest[n:]
	return text, text != "" && !strings.ContainsFunc(text, notInItem)
}

// notInItem is what no bare item outside quotes contains; "(" would be an inner list.
func notInItem(r rune) bool { return r <= ' ' || r >= 0x7f || r == '"' || r == '(' || r == ')' }

// quoted reads a string after its opening quote.
func (s *scanner) quoted() (string, bool) {
	var text strings.Builder
	for i := 0; i < len(s.rest); i++ {
		c := s.rest[i]
		switch {
		case c == '"':
			s.rest = s.rest[i+1:]
			return text.String(), true
		case c == '\\':
			if i++; i == len(s.rest) || s.rest[i] != '"' && s.rest[i] != '\\' {
				return "", false
			}
			c = s.rest[i]
		case c < ' ' || c >= 0x7f:
			return "", false
		}
		text.WriteByte(c)
	}
	return "", false
}
