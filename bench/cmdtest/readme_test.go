package cmdtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

// TestReadme runs every command of the README's console blocks, in order and in one folder: none may fail. The
// install command's binaries are static.
func TestReadme(t *testing.T) {
	if testing.Short() {
		t.Skip("builds both commands and runs a dozen")
	}
	text := read(t, "README.md")
	if n := len(strings.Fields(text)); n > 1500 {
		t.Errorf("README.md has %d words: it is a door, 1,500 at most", n)
	}
	bin, dir := t.TempDir(), t.TempDir()
	install := regexp.MustCompile(`(?m)^(.*)go install (.*)$`).FindStringSubmatch(text)
	if install == nil {
		t.Fatal("README.md does not say how to install")
	}
	build := exec.Command("sh", "-c", install[1]+"go build -o "+bin+" "+install[2])
	build.Dir = root
	run(t, build)
	testdata, err := filepath.Abs(filepath.Join(root, "testdata"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(testdata, filepath.Join(dir, "testdata")); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, block := range regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(text, -1) {
		for _, line := range strings.Split(block[1], "\n") {
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				c := exec.Command("sh", "-c", command)
				c.Dir = dir
				c.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "XDG_CACHE_HOME="+bin)
				run(t, c)
				ran++
			}
		}
	}
	if ran < 8 {
		t.Errorf("%d commands", ran)
	}
	for _, name := range []string{"qconv", "qrun"} {
		out, err := exec.Command("ldd", filepath.Join(bin, name)).CombinedOutput()
		if err == nil && !strings.Contains(string(out), "statically linked") {
			t.Errorf("%s is not static: %s", name, out)
		}
	}
}

// TestLinks: what the documents link to is there.
func TestLinks(t *testing.T) {
	docs := []string{"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "bench/README.md", "testdata/README.md"}
	for _, pattern := range []string{"docs/*.md", "spec/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || found == nil {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, name := range found {
			docs = append(docs, strings.TrimPrefix(filepath.ToSlash(name), root+"/"))
		}
	}
	links := 0
	for _, name := range docs {
		for _, m := range regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`).FindAllStringSubmatch(read(t, name), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			links++
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(name), m[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", name, m[1])
			}
		}
	}
	if links < 10 {
		t.Errorf("%d links", links)
	}
}

// TestLaboratories: bench/README.md names every command below bench.
func TestLaboratories(t *testing.T) {
	text := read(t, "bench/README.md")
	mains, err := filepath.Glob(filepath.Join(root, "bench/*/main.go"))
	more, err2 := filepath.Glob(filepath.Join(root, "bench/*/*/main.go"))
	if err != nil || err2 != nil || len(mains) == 0 {
		t.Fatal(err, err2)
	}
	for _, main := range append(mains, more...) {
		dir := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(main)), root+"/")
		if !strings.Contains(text, "go run ./"+dir+" ") {
			t.Errorf("bench/README.md does not say how to run ./%s", dir)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func run(t *testing.T, c *exec.Cmd) {
	t.Helper()
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", strings.Join(c.Args, " "), err, out)
	}
}
