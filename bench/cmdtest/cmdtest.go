// Package cmdtest runs the txtar scripts of the commands: the standard
// commands of testscript and a few more.
//
//	exits CODE COMMAND ARGS...       run it; it must end with this exit code
//	signal NAME GLOB COMMAND ARGS... run it, send it INT, TERM, HUP or QUIT once a file matches; it must exit with 128 + its number
//	killed GLOB COMMAND ARGS...      run it, kill it (SIGKILL) once a file matches
//	json FILE PATH[=VALUE]...        FILE (or stdout) is one JSON document of schema 1 with these
//	                                 values; PATH is like tensors.0.name, VALUE is JSON or a string
//	equal FILE1 FILE2 PATH...        these values of two JSON documents are the same
//	near FILE PATH VALUE DIFF        a number of a JSON document differs from VALUE by DIFF at most
//	ratio FILE PATH FILE2 PATH2 LOW HIGH   a number of a JSON document over one of another lies between LOW and HIGH
//	empty GLOB...                    no file matches
//	flip FILE OFFSET                 invert the bits of one byte; a negative offset counts from the end
//	cut FILE LENGTH                  truncate
//	replace FILE OLD NEW             replace text once
//	latin1 FILE TEXT                 write a text that is not UTF-8
//	tensors FILE NAME:DTYPE:SHAPE[:VALUES]...   write a .safetensors file, as in ids:I64:2,3:1,2,3,4,5,6;
//	                                 VALUES are whole numbers, or zeros
//	synth DIR SHAPE SHARDS           write a checkpoint with random weights; SHAPE is one of synth.Shapes,
//	                                 or slow: 23 million weights, which take a while
//
// Condition [lacking] holds where $LACKING is a level that the machine lacks.
package cmdtest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	nlp "github.com/nlpodyssey/safetensors"
	"github.com/rogpeppe/go-internal/testscript"

	"qpt/bench/synth"
	"qpt/convert/safetensors"
	"qpt/internal/cpu"
)

// Run runs testdata/script/*.txtar with these environment variables, and with
// BEST, the machine's best instruction set, LACKING and CORES.
func Run(t *testing.T, env map[string]string) {
	t.Helper()
	lacking := ""
	for isa := cpu.AVX2; isa <= cpu.AMX; isa++ {
		if !cpu.Has(isa) {
			lacking = isa.String()
		}
	}
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(e *testscript.Env) error {
			for name, value := range env {
				e.Setenv(name, value)
			}
			e.Setenv("XDG_CACHE_HOME", filepath.Join(e.WorkDir, ".cache"))
			e.Setenv("BEST", cpu.Detected().String())
			e.Setenv("LACKING", lacking)
			e.Setenv("CORES", strconv.Itoa(runtime.NumCPU()))
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name != "lacking" {
				return false, fmt.Errorf("unknown condition %q", name)
			}
			return lacking != "", nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "signal": endBySignal, "killed": killed, "json": checkJSON, "equal": equal, "near": near, "ratio": ratio, "empty": empty,
			"flip": flip, "cut": cut, "replace": replace, "tensors": tensors, "synth": writeModel, "latin1": latin1,
		},
		RequireUniqueNames: true,
	})
}

// want stops the script unless the command has at least n arguments and no "!" before it.
func want(ts *testscript.TestScript, neg bool, args []string, n int) {
	if neg || len(args) < n {
		ts.Fatalf("wrong use of a command; see package cmdtest")
	}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2)
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if e := (*exec.ExitError)(nil); errors.As(err, &e) {
		code = e.ExitCode()
	} else {
		ts.Check(err)
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
	// A panic would be an internal error of exit code 70 with its stack.
	if strings.Contains(ts.ReadFile("stderr"), "goroutine ") {
		ts.Fatalf("it panicked")
	}
}

func endBySignal(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 3)
	s, ok := map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "QUIT": syscall.SIGQUIT}[args[0]]
	if !ok {
		ts.Fatalf("no signal %q", args[0])
	}
	if code := signalled(ts, neg, args[1:], s); code != 128+int(s) {
		ts.Fatalf("exit code %d, want %d", code, 128+int(s))
	}
}

func killed(ts *testscript.TestScript, neg bool, args []string) {
	signalled(ts, neg, args, os.Kill)
}

// signalled runs a command, sends it a signal once a file matches, and returns its exit code.
func signalled(ts *testscript.TestScript, neg bool, args []string, s os.Signal) int {
	want(ts, neg, args, 2)
	c := exec.Command(args[1], args[2:]...)
	c.Dir = ts.MkAbs(".")
	c.Stdout, c.Stderr = ts.Stdout(), ts.Stderr()
	// Under nohup this process ignores hangups, and so would its child: what is handled here is not ignored there.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	ts.Check(c.Start())
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	for tick := time.Tick(time.Millisecond); ; {
		select {
		case err := <-ended:
			ts.Fatalf("it ended before a file matched %s: %v", args[0], err)
		case <-tick:
		}
		if found, err := filepath.Glob(ts.MkAbs(args[0])); err != nil || found != nil {
			ts.Check(err)
			break
		}
	}
	ts.Check(c.Process.Signal(s))
	late := time.AfterFunc(time.Minute, func() { c.Process.Kill() }) // rather than wait for ever
	defer late.Stop()
	<-ended
	return c.ProcessState.ExitCode()
}

// document reads a file that holds one JSON value and nothing else.
func document(ts *testscript.TestScript, name string) map[string]any {
	d := json.NewDecoder(strings.NewReader(ts.ReadFile(name)))
	d.UseNumber()
	var doc map[string]any
	ts.Check(d.Decode(&doc))
	if _, err := d.Token(); err != io.EOF {
		ts.Fatalf("%s: something stands behind the document", name)
	}
	return doc
}

// lookup returns the JSON form of a value of doc.
func lookup(ts *testscript.TestScript, doc map[string]any, path string) string {
	var at any = doc
	for _, key := range strings.Split(path, ".") {
		ok := false
		switch v := at.(type) {
		case map[string]any:
			at, ok = v[key]
		case []any:
			if i, err := strconv.Atoi(key); err == nil && i < len(v) {
				at, ok = v[i], true
			}
		}
		if !ok {
			ts.Fatalf("no %q in the document", path)
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	ts.Check(e.Encode(at))
	return strings.TrimSpace(b.String())
}

func checkJSON(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 1)
	doc := document(ts, args[0])
	for _, a := range append([]string{"schema=1"}, args[1:]...) {
		path, value, given := strings.Cut(a, "=")
		got := lookup(ts, doc, path)
		if given && got != value && got != strconv.Quote(value) {
			ts.Fatalf("%s is %s, want %s", path, got, value)
		}
	}
}

func equal(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 3)
	a, b := document(ts, args[0]), document(ts, args[1])
	for _, path := range args[2:] {
		if x, y := lookup(ts, a, path), lookup(ts, b, path); x != y {
			ts.Fatalf("%s: %s and %s", path, x, y)
		}
	}
}

func near(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 4)
	var x [3]float64 // found, wanted, largest difference
	for i, text := range []string{lookup(ts, document(ts, args[0]), args[1]), args[2], args[3]} {
		var err error
		x[i], err = strconv.ParseFloat(text, 64)
		ts.Check(err)
	}
	if !(math.Abs(x[0]-x[1]) <= x[2]) {
		ts.Fatalf("%s is %v, want %v within %v", args[1], x[0], x[1], x[2])
	}
}

func ratio(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 6)
	var x [4]float64 // the numbers, least and largest ratio
	for i, text := range []string{lookup(ts, document(ts, args[0]), args[1]), lookup(ts, document(ts, args[2]), args[3]), args[4], args[5]} {
		var err error
		x[i], err = strconv.ParseFloat(text, 64)
		ts.Check(err)
	}
	if r := x[0] / x[1]; !(x[2] <= r && r <= x[3]) {
		ts.Fatalf("%s is %v, %s is %v: %v times as much, want %v to %v", args[1], x[0], args[3], x[1], r, x[2], x[3])
	}
}

func empty(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 1)
	for _, pattern := range args {
		found, err := filepath.Glob(ts.MkAbs(pattern))
		ts.Check(err)
		if found != nil {
			ts.Fatalf("%s: there is %q", pattern, found)
		}
	}
}

func flip(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2)
	data := []byte(ts.ReadFile(args[0]))
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	if at < 0 {
		at += len(data)
	}
	data[at] ^= 0xff
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o644))
}

func cut(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2)
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	ts.Check(os.Truncate(ts.MkAbs(args[0]), n))
}

func replace(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 3)
	text := ts.ReadFile(args[0])
	if !strings.Contains(text, args[1]) {
		ts.Fatalf("%s: no %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Replace(text, args[1], args[2], 1)), 0o644))
}

func latin1(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2)
	var data []byte
	for _, r := range args[1] {
		data = append(data, byte(r))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o644))
}

func tensors(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2)
	numbers := func(list string) (v []int) {
		for _, s := range strings.Split(list, ",") {
			n, err := strconv.Atoi(s)
			ts.Check(err)
			v = append(v, n)
		}
		return v
	}
	views := map[string]nlp.TensorView{}
	for _, arg := range args[1:] {
		part := strings.Split(arg, ":")
		dtype, err := nlp.ParseDType(part[1])
		ts.Check(err)
		var shape []uint64
		size := int(dtype.Size())
		for _, n := range numbers(part[2]) {
			shape = append(shape, uint64(n))
			size *= n
		}
		var b []byte
		if len(part) > 3 {
			for _, v := range numbers(part[3]) {
				b = append(b, binary.LittleEndian.AppendUint64(nil, uint64(v))[:dtype.Size()]...)
			}
		}
		views[part[0]], err = nlp.NewTensorView(dtype, shape, append(b, make([]byte, size-len(b))...))
		ts.Check(err)
	}
	ts.Check(safetensors.WriteFile(ts.MkAbs(args[0]), views, nil))
}

func writeModel(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 3)
	shape, ok := synth.Shapes[args[1]]
	if args[1] == "slow" {
		shape, ok = synth.Shape{Hidden: 512, Layers: 6, Heads: 8, KVHeads: 8, HeadDim: 64, FFN: 1536, Vocab: 2048, Context: 256, RopeTheta: 1e4}, true
	}
	shards, err := strconv.Atoi(args[2])
	ts.Check(err)
	if !ok {
		ts.Fatalf("no shape %q", args[1])
	}
	ts.Check(synth.Write(ts.MkAbs(args[0]), shape, synth.Options{Shards: shards}))
}
