//go:build !linux

package puppet

import "syscall"

func attributes() *syscall.SysProcAttr { return nil }
