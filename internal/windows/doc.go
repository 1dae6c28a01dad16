// Package windows has only tests: of what a program that imports the driver does on
// Windows, where no database is managed. They are built for it with mingw-w64 and
// run under wine, by `make windows`.
package windows
