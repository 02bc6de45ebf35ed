package sampler

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/penstock-go/penstock"
)

func TestQ23_LevelsOfNodesExpire(t *testing.T) {
	l := newLevels()
	set := func(node string, levels map[string]int, ttl time.Duration) bool {
		changed, err := l.setNode(node, levels, noon.Add(ttl))
		require.NoError(t, err)
		return changed
	}
	assert.True(t, set("a", map[string]int{"cpu": 2}, time.Second))
	assert.True(t, set("b", map[string]int{"cpu": 0, "memory": 1}, time.Minute))
	assert.False(t, set("a", map[string]int{"cpu": 2}, 2*time.Second), "the same, for longer")
	assert.Equal(t, noon.Add(2*time.Second), l.next())
	assert.False(t, l.expire(noon.Add(2*time.Second-1)))
	assert.Equal(t, Load{
		"cpu":    {Remote: map[string]int{"a": 2, "b": 0}},
		"memory": {Remote: map[string]int{"b": 1}},
	}, l.load(), "a level of 0 counts too: it lowers the average")
	assert.True(t, l.expire(noon.Add(2*time.Second)))
	assert.Equal(t, map[string]int{"b": 0}, l.ofNodes("cpu"))
	assert.Equal(t, noon.Add(time.Minute), l.next())

	assert.True(t, set("b", map[string]int{"memory": 1}, time.Minute), "what is not said any more is gone")
	assert.NotContains(t, l.load(), "cpu")
	assert.True(t, l.forgetNode("b"))
	assert.False(t, l.forgetNode("b"))
	assert.Empty(t, l.load())
	assert.True(t, l.next().IsZero())
	assert.False(t, set("c", nil, time.Second), "a node without samplers is nothing new")
	assert.False(t, l.expire(noon.Add(time.Hour)))
}

func TestG5_NodesAreBounded(t *testing.T) {
	l := newLevels()
	for i := range maxNodes {
		_, err := l.setNode(fmt.Sprint(i), map[string]int{"cpu": 1}, noon)
		require.NoError(t, err)
	}
	_, err := l.setNode("one too many", map[string]int{"cpu": 1}, noon)
	assert.ErrorIs(t, err, penstock.ErrFull)
	_, err = l.setNode("0", map[string]int{"cpu": 2}, noon)
	assert.NoError(t, err, "those that are known may speak")
}

// What the load holds, against a model that keeps a plain list of what was said.
func TestLevelsOfAllMatchAModel(t *testing.T) {
	type said struct {
		name  string
		level int
	}
	rapid.Check(t, func(t *rapid.T) {
		l := newLevels()
		now := noon
		owners := map[string]*gate{}
		local := map[string]int{}
		nodes := map[string][]said{}
		expires := map[string]time.Time{}
		name := rapid.SampledFrom([]string{"cpu", "memory", "gc"})
		node := rapid.SampledFrom([]string{"a", "b", "c"})
		live := func() Load {
			load := Load{}
			for n, level := range local {
				load[n] = Level{Local: level}
			}
			for there, list := range nodes {
				for _, s := range list {
					of := load[s.name]
					if of.Remote == nil {
						of.Remote = map[string]int{}
					}
					of.Remote[there] = s.level
					load[s.name] = of
				}
			}
			return load
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				n := name.Draw(t, "name")
				owners[n], local[n] = new(gate), 0
				l.add(n, owners[n], 0)
			},
			"set": func(t *rapid.T) {
				n, level := name.Draw(t, "name"), rapid.IntRange(0, 3).Draw(t, "level")
				old, there := local[n]
				require.Equal(t, there && old != level, owners[n] != nil && l.set(n, owners[n], level))
				if there {
					local[n] = level
				}
			},
			"set by a former owner": func(t *rapid.T) {
				n := name.Draw(t, "name")
				require.False(t, l.set(n, new(gate), 3))
				require.False(t, l.remove(n, new(gate)))
			},
			"remove": func(t *rapid.T) {
				n := name.Draw(t, "name")
				if owners[n] == nil {
					t.Skip()
				}
				require.True(t, l.remove(n, owners[n]))
				delete(owners, n)
				delete(local, n)
			},
			"node": func(t *rapid.T) {
				from := node.Draw(t, "node")
				levels := rapid.MapOfN(name, rapid.IntRange(0, 3), 0, 3).Draw(t, "levels")
				before := live()
				nodes[from], expires[from] = nil, now.Add(time.Duration(rapid.IntRange(1, 20).Draw(t, "ttl")))
				for n, level := range levels {
					nodes[from] = append(nodes[from], said{n, level})
				}
				changed, err := l.setNode(from, levels, expires[from])
				require.NoError(t, err)
				require.Equal(t, !assert.ObjectsAreEqual(before, live()), changed)
			},
			"forget": func(t *rapid.T) {
				from := node.Draw(t, "node")
				require.Equal(t, len(nodes[from]) > 0, l.forgetNode(from))
				delete(nodes, from)
				delete(expires, from)
			},
			"time": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 10).Draw(t, "passed")))
				before := live()
				for from, at := range expires {
					if !now.Before(at) {
						delete(nodes, from)
						delete(expires, from)
					}
				}
				require.Equal(t, !assert.ObjectsAreEqual(before, live()), l.expire(now))
			},
			"": func(t *rapid.T) { require.Equal(t, live(), l.load()) },
		})
	})
}
