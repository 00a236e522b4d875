package ui

import (
	"errors"
	"fmt"

	"qpt/internal/cpu"
)

// UseISA carries out the flag --isa; without it ("") the environment variable
// QPT_ISA counts. An unknown name is a Usage error, a level that the machine
// lacks an Unsupported one.
func UseISA(flag string) error {
	err := cpu.Err()
	if flag != "" {
		if err = cpu.Use(flag); err != nil {
			err = fmt.Errorf("--isa: %w", err)
		}
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, cpu.ErrUnknown):
		return &ExitError{Code: Usage, Err: err}
	}
	return &ExitError{Code: Unsupported, Err: err, Hint: "leave it out to use the best level of this machine"}
}
