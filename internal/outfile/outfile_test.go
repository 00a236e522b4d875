package outfile

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// child writes half a file and waits to be killed.
func TestMain(m *testing.M) {
	if path := os.Getenv("OUTFILE_CHILD"); path != "" {
		f, err := Create(path)
		if err == nil {
			_, err = f.Write([]byte("half"))
		}
		fmt.Println(err)
		time.Sleep(time.Minute)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// half starts a process that has half of path written; kill is kill -9.
func half(t *testing.T, path string) (kill func()) {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "OUTFILE_CHILD="+path)
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	kill = func() { c.Process.Kill(); c.Wait() }
	t.Cleanup(kill)
	var said string
	if fmt.Fscan(out, &said); said != "<nil>" {
		t.Fatalf("child: %s", said)
	}
	return kill
}

func names(t *testing.T, dir string) string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var s []string
	for _, e := range list {
		s = append(s, e.Name())
	}
	return strings.Join(s, " ")
}

func TestCommitAndAbort(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	for _, commit := range []bool{false, true} {
		f, err := Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString("text"); err != nil {
			t.Fatal(err)
		}
		if got := names(t, dir); got != ".a.unfinished" {
			t.Errorf("while writing: %q", got)
		}
		want := ""
		if commit {
			if err := f.Commit(); err != nil {
				t.Fatal(err)
			}
			want = "a"
		}
		f.Abort()
		if got := names(t, dir); got != want {
			t.Errorf("commit %v: %q, want %q", commit, got, want)
		}
		if err := f.Commit(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("Commit after the end: %v", err)
		}
	}
	if b, err := os.ReadFile(path); string(b) != "text" {
		t.Errorf("%q, %v", b, err)
	}
	if err := Write(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(path); string(b) != "new" {
		t.Errorf("%q", b)
	}
	if _, err := Create(dir); err == nil || !strings.Contains(err.Error(), "folder or device") {
		t.Errorf("onto a folder: %v", err)
	}
}

// What a living process writes is busy and stays; what killed ones left is gone after the next Create, of whatever name.
func TestProcesses(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for range 3 {
		half(t, a)() // killed
	}
	half(t, b)()
	if got := names(t, dir); got != ".b.unfinished" { // whose start has removed the other
		t.Errorf("killed: %q", got)
	}
	kill := half(t, a)
	if got := names(t, dir); got != ".a.unfinished" {
		t.Errorf("one lives: %q", got)
	}
	if _, err := Create(a); !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), a[len(dir)+1:]) {
		t.Errorf("while another process writes: %v", err)
	}
	if err := Write(b, []byte("b")); err != nil {
		t.Error(err)
	}
	if got := names(t, dir); got != ".a.unfinished b" {
		t.Errorf("beside a living process: %q", got)
	}
	kill()
	if err := Write(a, []byte("a")); err != nil {
		t.Error(err)
	}
	if got := names(t, dir); got != "a b" {
		t.Errorf("after it was killed: %q", got)
	}
}

func TestBusyHere(t *testing.T) {
	dir := t.TempDir()
	f, err := Create(filepath.Join(dir, "a"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Abort()
	if _, err := Create(filepath.Join(dir, "a")); !errors.Is(err, ErrBusy) {
		t.Errorf("second: %v", err)
	}
	if err := Write(filepath.Join(dir, "b"), nil); err != nil {
		t.Errorf("another name: %v", err)
	}
	RemoveAll()
	if got := names(t, dir); got != "b" {
		t.Errorf("after RemoveAll: %q", got)
	}
	if err := f.Commit(); err == nil {
		t.Error("Commit after RemoveAll: no error")
	}
	if got := names(t, dir); got != "b" {
		t.Errorf("after that: %q", got)
	}
}

// A link where the unfinished file goes leads nowhere.
func TestPlantedLink(t *testing.T) {
	dir := t.TempDir()
	victim := filepath.Join(dir, "victim")
	if err := os.WriteFile(victim, []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, filepath.Join(dir, ".a.unfinished")); err != nil {
		t.Skip(err)
	}
	if _, err := Create(filepath.Join(dir, "a")); err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("through a link: %v", err)
	}
	if b, _ := os.ReadFile(victim); string(b) != "text" {
		t.Errorf("%q", b)
	}
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	for _, name := range []string{"blobs", "snap"} {
		if err := os.Mkdir(in(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"blobs/4f", "m.safetensors", "a.qpt", "snap/old.qpt", "snap/report.html", "snap/config.json"} {
		if err := os.WriteFile(in(name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, link := range [][2]string{{"blobs/4f", "snap/model.safetensors"}, {"m.safetensors", "link"}, {"snap", "folder"}} {
		if err := os.Symlink(in(link[0]), in(link[1])); err != nil {
			t.Skip(err)
		}
	}
	if err := os.Link(in("m.safetensors"), in("hard")); err != nil {
		t.Skip(err)
	}
	for _, c := range []struct {
		out, input string
		bad        bool
	}{
		{"m.safetensors", "m.safetensors", true},
		{"snap/../m.safetensors", "m.safetensors", true},
		{"link", "m.safetensors", true},
		{"m.safetensors", "link", true},
		{"hard", "link", true},
		{"blobs/4f", "snap", true},
		{"blobs/4f", "folder", true},
		{"folder/config.json", "snap", true},
		{"snap", "snap", true},
		{"snap/old.qpt", "snap", false},
		{"snap/report.html", "folder", false},
		{"snap/report.html", "snap/report.html", true},
		{"new", "snap", false},
		{"a.qpt", "m.safetensors", false},
		{"a.qpt", "gone", false},
	} {
		err := Check(in(c.out), in("gone"), in(c.input))
		if errors.Is(err, ErrInput) != c.bad || (err != nil) != c.bad {
			t.Errorf("%s while %s is read: %v, want an error: %v", c.out, c.input, err, c.bad)
		}
	}
	if Check("", "") != nil || Check("-", "-") != nil {
		t.Error("stdout is no file")
	}
}
