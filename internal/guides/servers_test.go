package guides

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"hotswap/internal/engine/embedded"
	"hotswap/internal/testenv"
)

// TestCommandsOfTheGuideToServersDoWhatItSays runs the guide's program as three nodes, with
// the names that a StatefulSet would give them.
func TestCommandsOfTheGuideToServersDoWhatItSays(t *testing.T) {
	testenv.Long(t)
	engine, err := embedded.Start(embedded.Config{Dir: t.TempDir(), Port: -1, Lax: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(engine.Stop)
	t.Setenv("HOTSWAP_ENGINE", engine.ClientURL())
	w := newWorld(t)
	operator := w.machine(t, "operator", "srv/app/db")
	makeDatabase(t, filepath.Join(operator, "first.sqlite3"), "tea")
	var ready []string
	walk{world: w, at: operator, after: map[string]func(*testing.T){"main.go": func(t *testing.T) {
		if err := os.Link(filepath.Join(operator, "main"), filepath.Join(operator, "srv/app/app")); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			name, port := fmt.Sprint("web-", i), freePort(t)
			dir := w.machine(t, name, "db")
			cmd := exec.Command(filepath.Join(operator, "main"))
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "NODE="+name, "ROLE=web", fmt.Sprint("LISTEN=127.0.0.1:", port))
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { stop(cmd) })
			ready = append(ready, fmt.Sprintf("http://127.0.0.1:%d", port))
		}
		for _, url := range ready {
			testenv.Eventually(t, func() error { return answers(url+"/ready", http.StatusServiceUnavailable) })
		}
	}}, before: map[string]func(*testing.T){
		"9465": func(t *testing.T) { w.serveMetrics(t) },
	}}.through(t, "servers.md")
	for _, url := range ready {
		if err := errors.Join(answers(url+"/ready", http.StatusOK), answers(url+"/metrics", http.StatusOK)); err != nil {
			t.Error(err)
		}
	}
	if _, err := exec.LookPath("systemd-analyze"); err == nil {
		verifyUnits(t, operator, 2)
	}
	knowsItsVariables(t, operator)
	fits(t, operator)
}

func answers(url string, want int) error {
	res, err := http.Get(url)
	if err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode != want {
		return fmt.Errorf("%s answers %s, and not %d", url, res.Status, want)
	}
	return nil
}

// serveMetrics runs `hotswap fleet metrics`, at the address that is the default.
func (w world) serveMetrics(t *testing.T) {
	t.Helper()
	cmd := exec.Command(filepath.Join(hotswapDir, "hotswap"), "fleet", "metrics")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(cmd) })
	testenv.Eventually(t, func() error { return answers("http://127.0.0.1:9465/metrics", http.StatusOK) })
}

// knowsItsVariables demands that what units and pods set is what the program reads.
func knowsItsVariables(t *testing.T, dir string) {
	t.Helper()
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	known := []string{"HOTSWAP_ENGINE"}
	for _, m := range regexp.MustCompile(`os\.Getenv\("(\w+)"\)`).FindAllStringSubmatch(read("main.go"), -1) {
		known = append(known, m[1])
	}
	unit := map[string]bool{}
	for _, line := range regexp.MustCompile(`(?m)^Environment=(.*)$`).FindAllStringSubmatch(read("app.service"), -1) {
		for setting := range strings.FieldsSeq(line[1]) {
			name, _, _ := strings.Cut(setting, "=")
			unit[name] = true
		}
	}
	pod := map[string]bool{}
	for _, e := range podOf(t, read("web.yaml")).Containers[0].Env {
		pod[e.Name] = true
	}
	for what, set := range map[string]map[string]bool{"the unit": unit, "the pod": pod} {
		for _, name := range known {
			if !set[name] {
				t.Errorf("%s does not set %s", what, name)
			}
		}
		if len(set) != len(known) {
			t.Errorf("%s sets %v, and the program reads %v", what, set, known)
		}
	}
}

// workload is what there may be in the guide's files; anything else is a mistake.
type workload struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct{ Name string }
	Spec       struct {
		ServiceName         string `yaml:"serviceName"`
		Replicas            int
		PodManagementPolicy string `yaml:"podManagementPolicy"`
		Selector            struct {
			MatchLabels map[string]string `yaml:"matchLabels"`
		}
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     pod
		}
		VolumeClaimTemplates []struct {
			Metadata struct{ Name string }
			Spec     map[string]any
		} `yaml:"volumeClaimTemplates"`
	}
}

type pod struct {
	TerminationGracePeriodSeconds int            `yaml:"terminationGracePeriodSeconds"`
	SecurityContext               map[string]int `yaml:"securityContext"`
	Volumes                       []struct {
		Name   string
		Secret struct {
			SecretName  string `yaml:"secretName"`
			DefaultMode int    `yaml:"defaultMode"`
		}
	}
	Containers []struct {
		Name, Image string
		WorkingDir  string `yaml:"workingDir"`
		Command     []string
		Ports       []struct {
			Name          string
			ContainerPort int `yaml:"containerPort"`
		}
		Env []struct {
			Name, Value string
			ValueFrom   map[string]map[string]string `yaml:"valueFrom"`
		}
		VolumeMounts []struct {
			Name      string
			MountPath string `yaml:"mountPath"`
			ReadOnly  bool   `yaml:"readOnly"`
		} `yaml:"volumeMounts"`
		ReadinessProbe struct {
			HTTPGet       struct{ Path, Port string } `yaml:"httpGet"`
			PeriodSeconds int                         `yaml:"periodSeconds"`
		} `yaml:"readinessProbe"`
	}
}

// podOf reads a workload, and demands that its parts fit together.
func podOf(t *testing.T, text string) pod {
	t.Helper()
	var w workload
	decoder := yaml.NewDecoder(strings.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&w); err != nil {
		t.Fatal(err)
	}
	p := w.Spec.Template.Spec
	var volumes, ports []string
	for _, v := range p.Volumes {
		volumes = append(volumes, v.Name)
	}
	for _, v := range w.Spec.VolumeClaimTemplates {
		volumes = append(volumes, v.Metadata.Name)
	}
	c := p.Containers[0]
	for _, port := range c.Ports {
		ports = append(ports, port.Name)
	}
	for _, m := range c.VolumeMounts {
		if !slices.Contains(volumes, m.Name) {
			t.Errorf("%s mounts %s, and there are %v", w.Metadata.Name, m.Name, volumes)
		}
	}
	if probe := c.ReadinessProbe.HTTPGet; probe.Port != "" && (!slices.Contains(ports, probe.Port) || probe.Path != "/ready") {
		t.Errorf("%s is asked at %+v, and has the ports %v", w.Metadata.Name, probe, ports)
	}
	for name, value := range w.Spec.Selector.MatchLabels {
		if w.Spec.Template.Metadata.Labels[name] != value {
			t.Errorf("%s selects %s=%s, which its pods are not", w.Metadata.Name, name, value)
		}
	}
	return p
}

// fits demands that the other files of the guide are of what there is.
func fits(t *testing.T, dir string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "fleet-metrics.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	// The command must be one: its flags are read before it fails for want of credentials.
	command := podOf(t, string(text)).Containers[0].Command
	out, err := exec.Command(filepath.Join(hotswapDir, command[0]), command[1:]...).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "open the credentials file") {
		t.Errorf("%v: %s (%v)", command, out, err)
	}
	var rules struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For string
				Annotations      map[string]string
			}
		}
	}
	if text, err = os.ReadFile(filepath.Join(dir, "fleet-rules.yaml")); err != nil {
		t.Fatal(err)
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(text)))
	decoder.KnownFields(true)
	if err := decoder.Decode(&rules); err != nil || len(rules.Groups) != 1 || len(rules.Groups[0].Rules) < 10 {
		t.Errorf("%+v: %v", rules, err)
	}
	for _, rule := range rules.Groups[0].Rules {
		if rule.Alert == "" || !strings.Contains(rule.Expr, "hotswap_fleet_") {
			t.Errorf("%+v", rule)
		}
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
