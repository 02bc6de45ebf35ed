package httplimit

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestParseMembers(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []member
	}{
		{`"default";r=50;t=30`, []member{{"default", "", []param{{"r", "50"}, {"t", "30"}}}}},
		{`default;r=50`, []member{{"default", "", []param{{"r", "50"}}}}},
		{`"a";r=1 , "b" ; r=2;t=3`, []member{{"a", "", []param{{"r", "1"}}}, {"b", "", []param{{"r", "2"}, {"t", "3"}}}}},
		{`limit=100, remaining=50, reset=30`, []member{{"limit", "100", nil}, {"remaining", "50", nil}, {"reset", "30", nil}}},
		{`100;w=60`, []member{{"100", "", []param{{"w", "60"}}}}},
		{`"x";pk=:cHsdsRa894==:;qu="content-bytes"`, []member{{"x", "", []param{{"pk", ":cHsdsRa894==:"}, {"qu", "content-bytes"}}}}},
		{`"a \"b\" \\ , ; c";r=1`, []member{{`a "b" \ , ; c`, "", []param{{"r", "1"}}}}},
		{`"a";flag;r=1`, []member{{"a", "", []param{{"flag", ""}, {"r", "1"}}}}},
	} {
		got, ok := parseMembers([]string{c.in})
		assert.True(t, ok, c.in)
		assert.Equal(t, c.want, got, c.in)
	}
}

func TestParseMembersJoinsLines(t *testing.T) {
	got, ok := parseMembers([]string{`"a";r=1`, `"b";r=2`})
	assert.True(t, ok)
	assert.Len(t, got, 2)
}

func TestParseMembersRefusesAsAWhole(t *testing.T) {
	for _, in := range []string{
		``, ` `, `,`, `"a"` + "\x00", `"a`, `"a\`, `"a\n"`, `"ä"`, `ä`, `"a";`, `"a";=1`, `"a";r=`, `"a",`, `"a" "b"`, `("a" "b");r=1`,
		`"a";r=1,("b")`, `=5`, `a=`, "\"a\tb\"", `a"b"`,
		strings.Repeat(`"a",`, maxMembers) + `"a"`,
		`"a"` + strings.Repeat(`;r=1`, maxParams+1),
		`"` + strings.Repeat("a", maxFieldLen) + `"`,
	} {
		_, ok := parseMembers([]string{in})
		assert.False(t, ok, in)
	}
}

func TestLastParameterWins(t *testing.T) {
	members, _ := parseMembers([]string{`"a";r=1;r=2`})
	r, ok := members[0].param("r")
	assert.True(t, ok)
	assert.Equal(t, "2", r)
}
