package docs

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"
)

// blocks are the parts of operations.md that are in a language.
func blocks(t *testing.T, language string) []string {
	text, err := os.ReadFile("operations.md")
	require.NoError(t, err)
	var found []string
	for _, m := range regexp.MustCompile("(?s)\n```"+language+"\n(.*?)\n```\n").FindAllStringSubmatch(string(text), -1) {
		found = append(found, m[1])
	}
	return found
}

func TestComposeFile(t *testing.T) {
	found := blocks(t, "yaml")
	require.Len(t, found, 1)
	var file struct {
		Services map[string]struct {
			Image       string            `yaml:"image"`
			Environment map[string]string `yaml:"environment"`
			Healthcheck struct {
				Test []string `yaml:"test"`
			} `yaml:"healthcheck"`
			Stop    string   `yaml:"stop_grace_period"`
			Volumes []string `yaml:"volumes"`
		} `yaml:"services"`
		Volumes map[string]any               `yaml:"volumes"`
		Secrets map[string]map[string]string `yaml:"secrets"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(found[0]), &file))
	require.Len(t, file.Services, 4)
	for name, s := range file.Services {
		require.NotEmpty(t, s.Image, name)
		require.NotEmpty(t, s.Healthcheck.Test, name)
		require.NotEmpty(t, s.Stop, name)
		require.NotEmpty(t, s.Volumes, name)
		if name != "postgres" {
			require.Equal(t, name, s.Environment["NODE_NAME"])
			require.Contains(t, s.Environment["DATABASE_URL"], "tcp_keepalives_idle")
		}
	}
}

func TestUnitFile(t *testing.T) {
	found := blocks(t, "ini")
	require.Len(t, found, 1)
	section, keys := "", make(map[string]string)
	for _, line := range strings.Split(found[0], "\n") {
		if strings.HasPrefix(line, "[") {
			section = strings.Trim(line, "[]")
			require.Contains(t, []string{"Unit", "Service", "Install"}, section)
			continue
		}
		if key, value, ok := strings.Cut(line, "="); line != "" {
			require.True(t, ok && key != "" && value != "" && section != "", line)
			keys[section+"."+key] = value
		}
	}
	for _, key := range []string{"Service.ExecStart", "Service.TimeoutStopSec", "Service.Restart", "Install.WantedBy"} {
		require.Contains(t, keys, key)
	}
}
