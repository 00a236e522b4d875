package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// fuzzSteps returns one step for each fuzz target below root whose name
// contains match. What `go test -fuzz` finds it keeps in testdata/fuzz of the
// package; every later test run tries it again, so commit it with its fix. Finds are made shorter in 20 tries: the 60 seconds that
// are usual left some targets no time for anything else.
func fuzzSteps(root string, each time.Duration, match string) (list []step, err error) {
	err = goFiles(root, func(file string) error {
		if !strings.HasSuffix(file, "_test.go") {
			return nil
		}
		names, err := fuzzTargets(filepath.Join(root, file))
		for _, name := range names {
			if !strings.Contains(name, match) {
				continue
			}
			dir := "./" + path.Dir(file)
			list = append(list, step{
				name: dir + " " + name,
				args: []string{"go", "test", "-run=^$", "-fuzz=^" + name + "$", "-fuzztime=" + each.String(), "-fuzzminimizetime=20x", dir},
			})
		}
		return err
	})
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("no fuzz target with %q in its name", match)
	}
	return list, err
}

// fuzzTargets returns the names of the functions FuzzX(*testing.F) of a file.
func fuzzTargets(file string) (names []string, err error) {
	src, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	f, err := parser.ParseFile(token.NewFileSet(), file, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Fuzz") {
			if p := fn.Type.Params.List; len(p) == 1 && len(p[0].Names) == 1 {
				if star, ok := p[0].Type.(*ast.StarExpr); ok {
					if sel, ok := star.X.(*ast.SelectorExpr); ok && sel.Sel.Name == "F" {
						names = append(names, fn.Name.Name)
					}
				}
			}
		}
	}
	return names, nil
}
