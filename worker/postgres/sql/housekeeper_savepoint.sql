SAVEPOINT refresh
