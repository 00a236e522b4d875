package ui

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestCode(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, OK},
		{errors.New("x"), Failure},
		{&ExitError{Code: BadInput, Err: errors.New("x")}, BadInput},
		{fmt.Errorf("outer: %w", &ExitError{Code: Threshold}), Threshold},
		{fmt.Errorf("outer: %w", context.Canceled), Interrupted},
		{fmt.Errorf("outer: %w", &signalError{syscall.SIGTERM, context.Canceled}), 143},
		{context.DeadlineExceeded, Failure},
	} {
		if got := Code(c.err); got != c.want {
			t.Errorf("Code(%v) = %d, want %d", c.err, got, c.want)
		}
	}
}

func TestReport(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{errors.New("m.qpt: too short"), "qrun: error: m.qpt: too short\n"},
		{fmt.Errorf("load: %w", &ExitError{Code: 4, Err: errors.New("bad"), Hint: "convert again"}),
			"qrun: error: load: bad\nqrun: hint: convert again\n"},
		{context.Canceled, "qrun: interrupted\n"},
		{&signalError{syscall.SIGTERM, context.Canceled}, "qrun: terminated\n"},
	} {
		var b strings.Builder
		Report(&b, "qrun", c.err)
		if b.String() != c.want {
			t.Errorf("got %q, want %q", b.String(), c.want)
		}
	}
}

// TestRun runs this binary again as a command and looks at it from outside.
func TestRun(t *testing.T) {
	const variable = "QPT_UI_TEST_CHILD"
	switch os.Getenv(variable) {
	case "ok":
		os.Exit(Run("cmd", func(context.Context) error { return nil }))
	case "bad":
		os.Exit(Run("cmd", func(context.Context) error { return &ExitError{Code: BadInput, Err: errors.New("torn")} }))
	case "panic":
		os.Exit(Run("cmd", func(context.Context) error { panic("oops") }))
	case "full": // os.Stdout, closed early, fails as a full disk does
		os.Exit(Run("cmd", func(context.Context) error {
			os.Stdout.Close()
			fmt.Fprintln(Stdout, "lost")
			return nil
		}))
	case "slow":
		os.Exit(Run("cmd", func(ctx context.Context) error {
			fmt.Println("ready")
			<-ctx.Done()
			time.Sleep(patience + patience/4)
			return ctx.Err()
		}))
	case "polite":
		os.Exit(Run("cmd", func(ctx context.Context) error {
			fmt.Println("ready")
			<-ctx.Done()
			return ctx.Err()
		}))
	case "talk": // the first interrupt is taken, the second ends it
		os.Exit(Run("cmd", func(ctx context.Context) error {
			taken := make(chan bool)
			restore := OnInterrupt(func() { close(taken) })
			fmt.Println("ready")
			<-taken
			restore()
			if ctx.Err() != nil {
				return errors.New("ended")
			}
			fmt.Println("ready")
			<-ctx.Done()
			return ctx.Err()
		}))
	case "deaf":
		os.Exit(Run("cmd", func(ctx context.Context) error {
			fmt.Println("ready")
			<-ctx.Done()
			fmt.Println("ready")
			select {}
		}, func() { fmt.Fprintln(os.Stderr, "cleaned") }))
	}
	// Under nohup this process ignores hangups, and so would its children: what is handled here is not ignored there.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	for _, c := range []struct {
		mode    string
		signals []os.Signal // each is sent after a line on stdout
		code    int
		stderr  string // beginning
	}{
		{"ok", nil, OK, ""},
		{"bad", nil, BadInput, "cmd: error: torn\n"},
		{"panic", nil, 70, "cmd: error: internal error: oops\n"},
		{"full", nil, Failure, "cmd: error: write /dev/stdout: "},
		{"polite", []os.Signal{os.Interrupt}, 130, "cmd: interrupted\n"},
		{"polite", []os.Signal{syscall.SIGTERM}, 143, "cmd: terminated\n"},
		{"polite", []os.Signal{syscall.SIGHUP}, 129, "cmd: hangup\n"},
		{"polite", []os.Signal{syscall.SIGQUIT}, 131, "cmd: quit\n"},
		{"talk", []os.Signal{os.Interrupt, os.Interrupt}, 130, "cmd: interrupted\n"},
		{"deaf", []os.Signal{os.Interrupt, syscall.SIGTERM}, 143, "cleaned\n"},
		{"slow", []os.Signal{os.Interrupt}, 130, "cmd: stopping; once more ends it at once\ncmd: interrupted\n"},
	} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestRun$")
		cmd.Env = append(os.Environ(), variable+"="+c.mode)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		late := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() }) // rather than wait for ever
		for _, s := range c.signals {
			if _, err := fmt.Fscanln(stdout, new(string)); err != nil {
				t.Fatalf("%s: %v", c.mode, err)
			}
			cmd.Process.Signal(s)
		}
		cmd.Wait()
		late.Stop()
		if got := cmd.ProcessState.ExitCode(); got != c.code || !strings.HasPrefix(stderr.String(), c.stderr) {
			t.Errorf("%s: exit code %d, stderr %q; want %d, %q", c.mode, got, stderr.String(), c.code, c.stderr)
		}
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", -5: "-5 B", 1024: "1.00 KiB", 1536: "1.50 KiB", 1<<20 - 1: "1.00 MiB",
		1 << 20: "1.00 MiB", 3 << 29: "1.50 GiB", 1 << 62: "4.00 EiB", -1 << 63: "-8.00 EiB",
	} {
		if got := Size(n); got != want {
			t.Errorf("Size(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 ns", 999: "999 ns", 1000: "1.00 us", 12345: "12.3 us", 999499: "999 us", 999500: "1.00 ms",
		123456789: "123 ms", 1500 * time.Millisecond: "1.50 s", 59949 * time.Millisecond: "59.9 s",
		59950 * time.Millisecond: "1m00s", 123 * time.Second: "2m03s", 3599600 * time.Millisecond: "1h00m00s",
		25*time.Hour + 61*time.Second: "25h01m01s", -time.Second: "-1.00 s",
	} {
		if got := Duration(d); got != want {
			t.Errorf("Duration(%d) = %q, want %q", int64(d), got, want)
		}
	}
}

func TestTable(t *testing.T) {
	table := NewTable("layer", "SQNR", "note")
	table.Row("naïve.q", "41.5 dB", "")
	table.Row("k", "-", "kept: 7 %")
	table.Row("v.long.name", 9)
	var b strings.Builder
	if err := table.Print(&b); err != nil {
		t.Fatal(err)
	}
	want := `
layer           SQNR  note
naïve.q      41.5 dB
k                  -  kept: 7 %
v.long.name        9
`
	if got := "\n" + b.String(); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	for limit, want := range map[int]string{31: "layer           SQNR  note\n", 30: "layer           SQNR\n", 3: "layer           SQNR\n"} {
		if got := table.text(limit); !strings.HasPrefix(got, want) {
			t.Errorf("%d wide:\n%s", limit, got)
		}
	}
	if got, want := table.text(30), "layer           SQNR\nnaïve.q      41.5 dB\nk                  -\nv.long.name        9\n\nlayer        note\nnaïve.q\nk            kept: 7 %\nv.long.name\n"; got != want {
		t.Errorf("narrow: got %s\nwant %s", got, want)
	}
	if got, want := table.Notes().text(30), "layer           SQNR\nnaïve.q      41.5 dB\nk                  -\n    kept: 7 %\nv.long.name        9\n"; got != want {
		t.Errorf("notes: got %s\nwant %s", got, want)
	}
	wide := NewTable("name", "shape", "size").Notes()
	wide.Row("a.name.of.more.than.twenty", "[1 2]", "3 B")
	wide.Row("b", "[3]", 4)
	if got, want := wide.text(30), "name\n  shape\na.name.of.more.than.twenty\n  [1 2]\n    3 B\nb\n  [3]\n    4\n"; got != want {
		t.Errorf("name above: got %s\nwant %s", got, want)
	}
	b.Reset()
	plain := NewTable()
	plain.Row("a", 1)
	plain.Row("bb", 22)
	plain.Print(&b)
	if want := "a    1\nbb  22\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

func TestPeakMemory(t *testing.T) {
	before := PeakMemory()
	if runtime.GOOS == "linux" && (before < 1<<20 || before > 1<<40) {
		t.Fatalf("%d bytes", before)
	}
	b := make([]byte, before+64<<20)
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	if after := PeakMemory(); runtime.GOOS == "linux" && after < int64(len(b)) {
		t.Errorf("%d bytes after %d were written", after, len(b))
	}
	runtime.KeepAlive(b)
}
