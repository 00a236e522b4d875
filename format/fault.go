package format

import (
	"runtime/debug"
	"strings"
)

// guard calls fn and turns a fault into ErrLost: reading a page of a mapped
// file that was truncated meanwhile, or that the disk cannot give, would
// otherwise end the process. It does not reach into goroutines that fn starts.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			if !IsFault(r) {
				panic(r)
			}
			err = ErrLost
		}
	}()
	return fn()
}

// IsFault tells whether a recovered panic is a fault on mapped memory, which
// debug.SetPanicOnFault makes a runtime error with an address.
func IsFault(v any) bool {
	e, ok := v.(interface {
		error
		Addr() uintptr
	})
	return ok && strings.Contains(e.Error(), "invalid memory address")
}
