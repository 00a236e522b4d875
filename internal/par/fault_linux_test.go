package par

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A mapped model that somebody cuts short must give an error, not SIGBUS.
func TestTruncatedMapping(t *testing.T) {
	name := filepath.Join(t.TempDir(), "model")
	if err := os.WriteFile(name, make([]byte, 1<<16), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := unix.Mmap(int(f.Fd()), 0, 1<<16, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(data)
	if err := os.Truncate(name, 0); err != nil {
		t.Fatal(err)
	}

	p := New(2)
	defer p.Close()
	sink := make([]byte, 2)
	for _, culprit := range []int{0, 1} {
		began := make(chan struct{})
		read := func(worker, item int) {
			if worker == culprit {
				close(began)
				sink[worker] = data[1<<15]
			}
			<-began
		}
		for name, run := range map[string]func(){
			"Run": func() { p.Run(taskFunc(read), 2) },
			"For": func() { For(2, 2, read) },
		} {
			began = make(chan struct{})
			var fault interface{ Addr() uintptr }
			if got := catch(t, run); !errors.As(got, &fault) {
				t.Errorf("%s, worker %d: got %v, want a memory fault", name, culprit, got)
			}
		}
	}
}
