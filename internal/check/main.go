// Command check is the one command that says whether the tree is good:
//
//	go run ./internal/check                  everything below, in this order
//	go run ./internal/check -only vet,test   some steps
//	go run ./internal/check -skip race       all but some
//	go run ./internal/check -fuzz 10m        instead: every fuzz target, 10 minutes each
//	go run ./internal/check -fuzz 1m -match Reader
//
// It stops at the first step that fails. It needs Go, nothing else; the race
// step also needs a C compiler and is left out, visibly, where there is none.
package main

import (
	"bytes"
	"debug/elf"
	"errors"
	"flag"
	"fmt"
	"go/format"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// step is one check. A nil run means: run args as a command.
type step struct {
	name string
	env  []string
	args []string
	run  func() error
}

var steps = []step{
	{name: "gofmt", run: gofmt},
	{name: "vet", args: []string{"go", "vet", "./..."}},
	{name: "vet-purego", args: []string{"go", "vet", "-tags", "purego", "./..."}},
	{name: "staticcheck", args: []string{"go", "tool", "staticcheck", "./..."}},
	{name: "arm64", env: []string{"GOOS=linux", "GOARCH=arm64"}, args: []string{"go", "build", "./..."}},
	{name: "darwin", env: []string{"GOOS=darwin", "GOARCH=arm64"}, args: []string{"go", "build", "./..."}},
	{name: "windows", env: []string{"GOOS=windows", "GOARCH=amd64"}, args: []string{"go", "build", "./..."}},
	{name: "static", run: static},
	{name: "test", run: func() error { return goTest("./...") }},
	{name: "test-purego", run: func() error { return goTest("-tags", "purego", "./...") }},
	{name: "emulated", run: emulated},
	{name: "race", run: race},
	{name: "clean", run: clean},
}

// errSkipped is returned by a step that cannot run here.
var errSkipped = errors.New("skipped")

func main() {
	only := flag.String("only", "", "run only these `steps`, separated by commas")
	skip := flag.String("skip", "", "leave out these `steps`")
	fuzzTime := flag.Duration("fuzz", 0, "run every fuzz target for this `time` instead of the steps")
	match := flag.String("match", "", "with -fuzz: only targets whose name contains this")
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "usage: go run ./internal/check [flags]\nsteps:")
		for _, s := range steps {
			fmt.Fprintf(flag.CommandLine.Output(), " %s", s.name)
		}
		fmt.Fprintln(flag.CommandLine.Output())
		flag.PrintDefaults()
	}
	flag.Parse()
	root, err := moduleRoot()
	if err == nil {
		err = os.Chdir(root)
	}
	list := steps
	if err == nil && *fuzzTime > 0 {
		list, err = fuzzSteps(".", *fuzzTime, *match)
	}
	if err == nil {
		list, err = choose(list, *only, *skip)
	}
	if err != nil || flag.NArg() > 0 {
		if err == nil {
			err = fmt.Errorf("unexpected argument %q", flag.Arg(0))
		}
		fmt.Fprintln(os.Stderr, "check: error:", err)
		os.Exit(2)
	}
	if err := runAll(list); err != nil {
		fmt.Fprintln(os.Stderr, "check: error:", err)
		os.Exit(1)
	}
}

// moduleRoot is the nearest directory above with a go.mod.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod in this directory or above: run it inside the repository")
		}
		dir = parent
	}
}

// choose applies -only and -skip; an unknown name is an error.
func choose(list []step, only, skip string) ([]step, error) {
	split := func(s string) ([]string, error) {
		if s == "" {
			return nil, nil
		}
		names := strings.Split(s, ",")
		for _, name := range names {
			if !slices.ContainsFunc(list, func(s step) bool { return s.name == name }) {
				return nil, fmt.Errorf("there is no step %q; -help lists them", name)
			}
		}
		return names, nil
	}
	keep, err := split(only)
	if err != nil {
		return nil, err
	}
	drop, err := split(skip)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(list), func(s step) bool {
		return keep != nil && !slices.Contains(keep, s.name) || slices.Contains(drop, s.name)
	}), nil
}

// runAll runs the steps in order, up to the first failure.
func runAll(list []step) error {
	begin := time.Now()
	for _, s := range list {
		fmt.Printf("check: %s ...\n", strings.Join(append([]string{s.name + ":"}, s.args...), " "))
		start := time.Now()
		err := s.do()
		took := time.Since(start).Round(10 * time.Millisecond)
		switch {
		case errors.Is(err, errSkipped):
			fmt.Printf("check: %s: %v\n", s.name, err)
		case err != nil:
			return fmt.Errorf("step %s failed after %v: %w (later steps were not run)", s.name, took, err)
		default:
			fmt.Printf("check: %s: ok, %v\n", s.name, took)
		}
	}
	fmt.Printf("check: all %d steps done, %v\n", len(list), time.Since(begin).Round(10*time.Millisecond))
	return nil
}

func (s step) do() error {
	if s.run != nil {
		return s.run()
	}
	return command(s.env, s.args...)
}

// command runs a program with its output passed on.
func command(env []string, args ...string) error {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(append(env, args...), " "), err)
	}
	return nil
}

// goFiles calls f for the .go files of the module at root, by path relative to it.
func goFiles(root string, f func(path string) error) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".go":
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		return f(filepath.ToSlash(rel))
	})
}

// gofmt is `gofmt -l` without the program, which need not be on PATH.
func gofmt() error {
	var bad []string
	err := goFiles(".", func(path string) error {
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		out, err := format.Source(src)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if !bytes.Equal(src, out) {
			bad = append(bad, path)
		}
		return nil
	})
	if err == nil && len(bad) > 0 {
		err = fmt.Errorf("not formatted, run gofmt -w: %s", strings.Join(bad, " "))
	}
	return err
}

// static builds the commands as the README installs them and looks whether they need another file to run.
// Without CGO_ENABLED=0 they do where there is a C compiler: package net, which the progress bar imports, then uses libc.
func static() error {
	if runtime.GOOS != "linux" {
		return fmt.Errorf("%w: only on Linux", errSkipped)
	}
	dir, err := os.MkdirTemp("", "static")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := command([]string{"CGO_ENABLED=0"}, "go", "build", "-o", dir+"/", "./cmd/qconv", "./cmd/qrun"); err != nil {
		return err
	}
	for _, name := range []string{"qconv", "qrun"} {
		if err := isStatic(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// isStatic says what an ELF file asks the system to load besides it.
func isStatic(path string) error {
	f, err := elf.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			libs, _ := f.ImportedLibraries()
			return fmt.Errorf("not static: needs a loader and %q", libs)
		}
	}
	return nil
}

// emulated runs the kernels of AMX and AVX-VNNI on machines without: those of linear layers, and encoders made of them.
func emulated() error {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return fmt.Errorf("%w: only on Linux on x86-64", errSkipped)
	}
	dir, err := os.MkdirTemp("", "emulate")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "emulate")
	if err := command(nil, "go", "build", "-o", program, "./internal/emulate"); err != nil {
		return err
	}
	if out, err := exec.Command(program, "go", "version").CombinedOutput(); err != nil {
		return fmt.Errorf("%w: programs cannot be traced here: %s", errSkipped, bytes.TrimSpace(out))
	}
	return goTest("-tags=qpt_emulated", "-short", "-exec="+program, "./kernels/linear", "./runtime/encoder")
}

// race tests what shares memory between goroutines. The detector makes Go code
// some 15 times slower, so -short tells tests that only compare numbers to stay
// out, and of the kernels, which start no goroutines, the stress tests suffice.
func race() error {
	out, err := exec.Command("go", "env", "CGO_ENABLED").Output()
	if err != nil {
		return fmt.Errorf("go env CGO_ENABLED: %w", err)
	}
	if strings.TrimSpace(string(out)) != "1" {
		return fmt.Errorf("%w: the race detector needs a C compiler", errSkipped)
	}
	err = goTest("-race", "-short", "-timeout=20m", "./internal/par", "./internal/ui", "./runtime/...", "./convert/...")
	if err != nil {
		return err
	}
	return goTest("-race", "-run=Stress", "./kernels/...")
}

// clean fails when the steps before have left files or changes behind. On a
// developer's machine there always are some, so only CI=true asks for it.
func clean() error {
	if os.Getenv("CI") != "true" {
		return fmt.Errorf("%w: only when CI=true", errSkipped)
	}
	out, err := exec.Command("git", "status", "--porcelain").Output()
	if err != nil {
		return fmt.Errorf("git status: %w", err)
	}
	if len(out) > 0 {
		return fmt.Errorf("the working tree is not clean:\n%s", bytes.TrimSpace(out))
	}
	return nil
}
